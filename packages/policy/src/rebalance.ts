/** A shard and its part of a limit, in the limit's whole units. */
export interface ShardStanding {
  /** What it may use; undefined where it has no part yet. */
  readonly share: number | undefined;
  /** Can't be taken from it now. */
  readonly inUse: number;
  /** What it would use if it had it, from 0; not looked at where it has no part yet. */
  readonly demand: number;
}

/** Of an equal part: what everybody keeps, and the least that is worth moving. */
const floorShare = 0.05;

/** What a shard keeps however little it asks for: the first request finds something. */
export function floorOf(limit: number, shards: number): number {
  const equal = Math.floor(limit / shards);
  return Math.min(equal, Math.max(1, Math.floor((limit * floorShare) / shards)));
}

/**
 * What each shard should have. Where all ask for less than the limit, what it asks for, and of the rest half by
 * that and half in equal parts, so that there is room for more where it was wanted and elsewhere. Where they ask
 * for more: the floor, and the rest by what is asked for beyond it. Whole numbers that add up to the limit. One
 * without a part counts as asking for what the others do on average.
 */
export function targetShares(limit: number, shards: readonly ShardStanding[]): readonly number[] {
  const floor = floorOf(limit, shards.length);
  const known = shards.filter(({ share }) => share !== undefined);
  const typical = sum(known.map(({ demand }) => demand)) / Math.max(1, known.length);
  const asked = shards.map(({ share, demand }) => (share === undefined ? typical : demand));
  const total = sum(asked);
  const spare = Math.max(0, limit - total);
  const equal = 1 / shards.length;
  const wanted = asked.map(
    (part) => part + (spare / 2) * (total > 0 ? part / total : equal) + (spare / 2) * equal,
  );
  const rest = limit - floor * shards.length;
  return divide(
    rest,
    wanted.map((part) => Math.max(0, part - floor)),
  ).map((part) => floor + part);
}

/** Whether nothing is worth moving: nobody is without a part or far from its target, nor all over the limit. */
export function isBalanced(
  limit: number,
  shards: readonly ShardStanding[],
  targets: readonly number[],
): boolean {
  const step = Math.max(1, floorOf(limit, shards.length));
  const held = shards.reduce((sum, { share }) => sum + (share ?? 0), 0);
  return (
    held <= limit &&
    shards.every(
      ({ share }, index) =>
        share !== undefined && Math.abs(share - (targets[index] ?? share)) < step,
    )
  );
}

/** What is left of a part that is too large: down to its target, and never below what is in use. */
export function loweredShare(share: number, inUse: number, target: number): number {
  return Math.min(share, Math.max(target, inUse));
}

/**
 * What each shard gets of what nobody holds: first up to the floor, then towards its target. Adds up to the
 * limit at most, unless more is held already; nobody gets less than it holds.
 */
export function raisedShares(
  limit: number,
  held: readonly number[],
  targets: readonly number[],
): readonly number[] {
  const floor = floorOf(limit, held.length);
  const fill = (from: readonly number[], to: readonly number[]): readonly number[] => {
    const free = Math.max(0, limit - sum(from));
    const needs = from.map((have, index) => Math.max(0, (to[index] ?? have) - have));
    const given = sum(needs) <= free ? needs : divide(free, needs);
    return from.map((have, index) => have + (given[index] ?? 0));
  };
  const atFloor = targets.map((target) => Math.min(target, floor));
  return fill(fill(held, atFloor), targets);
}

/**
 * When a rate of `gcra` next lets one through, once a part `from` of its burst is the part `to`. Messages are
 * kept and not time: what may come at once is what might have before, at most `to`. The tolerance, the time in
 * which a whole burst is earned, is the same for all parts.
 */
export function tatOfShare(
  tatMs: number,
  nowMs: number,
  toleranceMs: number,
  from: number,
  to: number,
): number {
  const leftMs = toleranceMs - Math.max(tatMs - nowMs, 0);
  // It may be half a message behind; what is further ahead is of a limit that was larger.
  const available = Math.min(Math.max((leftMs * from) / toleranceMs, -mostBehind), to);
  return nowMs + toleranceMs - (to > 0 ? (available * toleranceMs) / to : 0);
}

/** By rounding, of one message. */
const mostBehind = 0.5;

/** Whole numbers that add up to `whole`, by weights; equal ones where all weigh nothing. */
function divide(whole: number, weights: readonly number[]): readonly number[] {
  const total = sum(weights);
  const exact = weights.map((weight) =>
    total > 0 ? whole * (weight / total) : whole / weights.length,
  );
  const parts = exact.map(Math.floor);
  // Who lost most by rounding comes first; of equals, who stands first.
  const order = exact
    .map((value, index) => ({ index, lost: value - Math.floor(value) }))
    .toSorted((a, b) => b.lost - a.lost);
  let left = whole - sum(parts);
  for (const { index } of order) {
    if (left < 1) break;
    parts[index] = (parts[index] ?? 0) + 1;
    left -= 1;
  }
  return parts;
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
