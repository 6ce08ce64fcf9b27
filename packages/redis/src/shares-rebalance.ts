import { isBalanced, raisedShares, targetShares, type ShardStanding } from "@sluice/policy";
import type { Keys } from "./keys.ts";
import type { SharedLimits } from "./policies.ts";
import type { RunScript } from "./run-script.ts";
import { setTtlMs, type Script } from "./scripts.ts";
import { claimScript, doneScript, fenceScript, setSharesScript } from "./share-script.ts";

/** Why somebody rebalances: it is about time; a share is missing; or another was at it when one was missing. */
export type RebalanceCause = "routine" | "missing" | "wait";

/** `busy`: another is at it. `done`: shares are as demand wants them, or another has just seen to it. */
export type RebalanceEnd = "done" | "busy" | "superseded";

export interface RebalanceParts {
  /** One shard's keys after another's. */
  readonly shards: readonly Pick<Keys, "shares" | "rebalance" | "globalInFlight" | "messageRate">[];
  readonly limits: SharedLimits;
  /** Whose it is: of no two that run at once. */
  readonly who: string;
  readonly run: RunScript;
  readonly scriptTime: () => string;
}

/** Once in about this time somebody of all processes rebalances. */
export const rebalanceEveryMs = 1000;
/** One that takes longer is taken for broken off. */
const claimMs = 200;
/** Demand of so long ago has faded to a third. */
const fadesMs = 2000;
/** Processes with another number of shards are gone once they did nothing for so long. */
const otherCountMs = 10_000;

/** What a shard said when it was fenced. */
interface Fenced {
  readonly places: ShardStanding;
  readonly burst: ShardStanding;
}

interface Parts {
  readonly places: readonly number[] | undefined;
  readonly burst: readonly number[] | undefined;
}

/**
 * Splits limits among shards by demand. The sum of all shares is never above a limit, wherever this is broken
 * off and however many do it at once. All shards are fenced; then all are lowered, or said to be as they were
 * found, by this rebalance and no later one; only then some are raised, by what nobody holds.
 * @throws what Redis answers, or where it does not; what was written stays
 */
export async function rebalanceShares(
  parts: RebalanceParts,
  cause: RebalanceCause,
): Promise<RebalanceEnd> {
  const { shards, run } = parts;
  const [first] = shards;
  if (first === undefined) return "done";
  let before: Claimed = { epoch: -1, taken: 0 };
  // A second time where the shard that numbers rebalances lost its data: numbers go on after all others.
  for (const _ of [1, 2]) {
    const epoch = await claim(parts, cause, before);
    if (typeof epoch === "string") return epoch;
    const fenced = await fence(parts, epoch);
    if (typeof fenced === "number") {
      before = { epoch, taken: fenced };
      continue;
    }
    if (!(await divide(parts, epoch, fenced))) return "superseded";
    await run(doneScript, [first.rebalance], [epoch]);
    return "done";
  }
  return "superseded";
}

/** A number that was claimed, and one that some shard had seen already. */
interface Claimed {
  readonly epoch: number;
  readonly taken: number;
}

async function claim(
  { shards, run, scriptTime }: RebalanceParts,
  cause: RebalanceCause,
  before: Claimed,
): Promise<number | "busy" | "done"> {
  const keys = shards.slice(0, 1).map(({ rebalance }) => rebalance);
  const args = [
    scriptTime(),
    before.taken,
    shards.length,
    cause,
    rebalanceEveryMs * 0.8,
    claimMs,
    otherCountMs,
    before.epoch,
  ];
  const [epoch = 0, isDone = 0] = toNumbers(await run(claimScript, keys, args));
  if (epoch > 0) return epoch;
  return isDone === 1 ? "done" : "busy";
}

/** What each said, or the highest number of a rebalance that came before. */
async function fence(
  { shards, limits, who, run, scriptTime }: RebalanceParts,
  epoch: number,
): Promise<readonly Fenced[] | number> {
  const toleranceMs = limits.rate?.toleranceMs ?? 0;
  const keepMs = Math.max(setTtlMs, Math.ceil(2 * toleranceMs));
  const replies = await Promise.all(
    shards.map(async ({ shares, globalInFlight }) => {
      const args = [scriptTime(), epoch, who, keepMs, fadesMs];
      return toNumbers(await run(fenceScript, [shares, globalInFlight], args));
    }),
  );
  const stands = replies.filter(([by]) => by === 0).map(([, at = 0]) => at);
  if (stands.length > 0) return Math.max(...stands);
  return replies.map(([, places = -1, inUse = 0, refused = 0, burst = -1, asked = 0]) => ({
    places: {
      share: places < 0 ? undefined : places,
      inUse,
      // One that is refused comes again and again.
      demand: inUse + Math.min(refused, limits.places ?? 0),
    },
    burst: {
      share: burst < 0 ? undefined : burst,
      inUse: 0,
      // As much of the burst as earns what was asked for.
      demand: (asked / fadesMs) * toleranceMs,
    },
  }));
}

/** Undefined where nothing is to be moved. */
function targetsOf(
  limit: number | undefined,
  standing: readonly ShardStanding[],
): readonly number[] | undefined {
  if (limit === undefined) return undefined;
  const targets = targetShares(limit, standing);
  return isBalanced(limit, standing, targets) ? undefined : targets;
}

/** False where another rebalance came in between. */
async function divide(
  parts: RebalanceParts,
  epoch: number,
  fenced: readonly Fenced[],
): Promise<boolean> {
  const { places, rate } = parts.limits;
  const targets: Parts = {
    places: targetsOf(
      places,
      fenced.map((one) => one.places),
    ),
    burst: targetsOf(
      rate?.burst,
      fenced.map((one) => one.burst),
    ),
  };
  if ((targets.places ?? targets.burst) === undefined) return true;
  const low = await set(parts, epoch, "lower", targets);
  if (low === undefined) return false;
  const heldOf = (place: 1 | 2): readonly number[] => low.map((reply) => reply[place] ?? 0);
  const raised: Parts = {
    places: targets.places && raisedShares(places ?? 0, heldOf(1), targets.places),
    burst: targets.burst && raisedShares(rate?.burst ?? 0, heldOf(2), targets.burst),
  };
  return (await set(parts, epoch, "raise", raised)) !== undefined;
}

/** What each holds then; undefined where one was not this rebalance's to write. */
async function set(
  { shards, limits, who, run, scriptTime }: RebalanceParts,
  epoch: number,
  how: "lower" | "raise",
  to: Parts,
): Promise<readonly (readonly number[])[] | undefined> {
  const { toleranceMs = 1, burst = 0 } = limits.rate ?? {};
  const bornWith = Math.floor(burst / shards.length);
  const replies = await Promise.all(
    shards.map(async ({ shares, globalInFlight, messageRate }, index) => {
      const args = [
        scriptTime(),
        epoch,
        who,
        how,
        to.places?.[index] ?? "",
        to.burst?.[index] ?? "",
        toleranceMs,
        bornWith,
      ];
      return toNumbers(await run(setSharesScript, [shares, globalInFlight, messageRate], args));
    }),
  );
  return replies.every(([isMine]) => isMine === 1) ? replies : undefined;
}

function toNumbers(reply: unknown): readonly number[] {
  if (!Array.isArray(reply)) throw new TypeError("sluice: Redis did not answer in time");
  return reply.map(Number);
}

export const shareScripts: readonly Script[] = [
  claimScript,
  doneScript,
  fenceScript,
  setSharesScript,
];
