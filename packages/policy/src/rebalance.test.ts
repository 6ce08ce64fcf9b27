import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gcra } from "./gcra.ts";
import {
  floorOf,
  isBalanced,
  loweredShare,
  raisedShares,
  targetShares,
  tatOfShare,
  type ShardStanding,
} from "./rebalance.ts";

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

interface Given {
  readonly limit: number;
  readonly shards: readonly ShardStanding[];
}

/** Shards of one limit that hold no more than it together, some without a part. */
const anyGiven: fc.Arbitrary<Given> = fc
  .record({
    perShard: fc.integer({ min: 1, max: 2000 }),
    odd: fc.nat(30),
    shards: fc.array(
      fc.record({
        weight: fc.nat(100),
        has: fc.boolean(),
        used: fc.double({ min: 0, max: 1, noNaN: true }),
        demand: fc.oneof(fc.constant(0), fc.nat(100_000)),
      }),
      { minLength: 1, maxLength: 24 },
    ),
  })
  .map(({ perShard, odd, shards }) => {
    const limit = perShard * shards.length + odd;
    const weights = sum(shards.map(({ weight }) => weight)) || 1;
    return {
      limit,
      shards: shards.map(({ weight, has, used, demand }) => {
        const share = Math.floor((limit * weight) / weights);
        return has
          ? { share, inUse: Math.floor(share * used), demand }
          : { share: undefined, inUse: 0, demand: 0 };
      }),
    };
  });

/** All lowered, and then raised by what came of it. */
function rebalanced({ limit, shards }: Given): readonly number[] {
  const targets = targetShares(limit, shards);
  const held = shards.map(({ share, inUse }, index) =>
    share === undefined ? 0 : loweredShare(share, inUse, targets[index] ?? 0),
  );
  return raisedShares(limit, held, targets);
}

const none: ShardStanding = { share: undefined, inUse: 0, demand: 0 };

const isBalancedOf = (...shares: (number | undefined)[]): boolean => {
  const shards = shares.map((share) => ({ share, inUse: 0, demand: 0 }));
  return isBalanced(1000, shards, targetShares(1000, shards));
};

describe("shares of a limit", () => {
  it("are meant to add up to the limit, with the floor for everybody", () => {
    fc.assert(
      fc.property(anyGiven, ({ limit, shards }) => {
        const targets = targetShares(limit, shards);
        expect(sum(targets)).toBe(limit);
        for (const target of targets) {
          expect(Number.isInteger(target)).toBe(true);
          expect(target).toBeGreaterThanOrEqual(floorOf(limit, shards.length));
        }
        expect(floorOf(limit, shards.length)).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  it("never add up to more than the limit, however few of the changes are written, lower ones first", () => {
    fc.assert(
      fc.property(anyGiven, fc.nat(), fc.nat(), ({ limit, shards }, lowered, raised) => {
        const targets = targetShares(limit, shards);
        const held = shards.map(({ share }) => share ?? 0);
        const inOrder = held.map((_, index) => index);
        // Broken off here: nothing is raised before all were lowered.
        const writtenLow = lowered % (held.length + 1);
        for (const index of inOrder.slice(0, writtenLow)) {
          held[index] = loweredShare(
            held[index] ?? 0,
            shards[index]?.inUse ?? 0,
            targets[index] ?? 0,
          );
          expect(sum(held)).toBeLessThanOrEqual(limit);
        }
        if (writtenLow < held.length) return;
        const wanted = raisedShares(limit, held, targets);
        for (const index of inOrder.slice(0, raised % (held.length + 1))) {
          expect(wanted[index]).toBeGreaterThanOrEqual(held[index] ?? 0);
          held[index] = wanted[index] ?? 0;
          expect(sum(held)).toBeLessThanOrEqual(limit);
        }
      }),
    );
  });

  it("leave nobody less than what is in use", () => {
    fc.assert(
      fc.property(anyGiven, (given) => {
        for (const [index, share] of rebalanced(given).entries()) {
          expect(share).toBeGreaterThanOrEqual(given.shards[index]?.inUse ?? 0);
        }
      }),
    );
  });

  it("are all given out, with at least the floor for everybody, where nothing that is in use stands in the way", () => {
    fc.assert(
      fc.property(anyGiven, ({ limit, shards }) => {
        const idle = shards.map((shard) => ({ ...shard, inUse: 0 }));
        const shares = rebalanced({ limit, shards: idle });
        expect(shares).toEqual(targetShares(limit, idle));
      }),
    );
  });

  it("reach what is asked for in one step where it is less than the limit, and then stay", () => {
    const demands = fc.array(fc.nat(1000), { minLength: 2, maxLength: 24 });
    fc.assert(
      fc.property(demands, fc.integer({ min: 0, max: 5000 }), (asked, spare) => {
        const limit = sum(asked) + asked.length + spare;
        const equal = Math.floor(limit / asked.length);
        const shards = asked.map((demand) => ({ share: equal, inUse: 0, demand }));
        const shares = rebalanced({ limit, shards });
        const floor = floorOf(limit, asked.length);
        if (sum(asked.map((demand) => Math.max(demand, floor))) > limit) return;
        for (const [index, demand] of asked.entries()) {
          expect(shares[index]).toBeGreaterThanOrEqual(demand - 1);
        }
        const next = shards.map((shard, index) => ({ ...shard, share: shares[index] }));
        expect(isBalanced(limit, next, targetShares(limit, next))).toBe(true);
      }),
    );
  });

  it("go to the shard that has all the demand, though it can only show as much as it may use", () => {
    const limit = 1000;
    let shares: readonly number[] = Array.from({ length: 8 }, () => limit / 8);
    for (let round = 0; round < 5; round += 1) {
      const shards = shares.map((share, index) => ({
        share,
        inUse: index === 3 ? share : 0,
        demand: index === 3 ? share : 0,
      }));
      shares = rebalanced({ limit, shards });
    }
    expect(shares[3]).toBeGreaterThanOrEqual(limit * 0.95);
    expect(sum(shares)).toBe(limit);
  });

  it("serve the larger demand of two as far as the smaller one allows, a few steps after it came", () => {
    const limit = 1000;
    const asked = [900, 100];
    let shares: readonly number[] = [500, 500];
    for (let round = 0; round < 5; round += 1) {
      // What is refused is hardly seen: callers remember it, and don't ask again.
      const shards = shares.map((share, index) => {
        const used = Math.min(share, asked[index] ?? 0);
        return { share, inUse: 0, demand: used + (used < (asked[index] ?? 0) ? 1 : 0) };
      });
      shares = rebalanced({ limit, shards });
    }
    expect(shares[0]).toBeGreaterThanOrEqual(890);
    expect(shares[1]).toBeGreaterThanOrEqual(90);
  });

  it("leave room elsewhere, while there is more than enough for all who ask", () => {
    const shards = [560, 62, 62, 62, 62, 62, 62, 62].map((demand) => ({
      share: 2000,
      inUse: 0,
      demand,
    }));
    const [hot = 0, ...others] = rebalanced({ limit: 16_000, shards });
    // Ten times as much may come everywhere before anybody sees it.
    expect(hot).toBeGreaterThan(5600);
    for (const other of others) expect(other).toBeGreaterThan(620);
  });

  it("return to equal parts where nobody asks, also to one who has none", () => {
    const shards = [990, 5, undefined, 5].map((share) => ({ share, inUse: 0, demand: 0 }));
    expect(rebalanced({ limit: 1000, shards })).toEqual([250, 250, 250, 250]);
  });

  it("come to one who has none as to a typical one", () => {
    const shards = [600, 300].map((share) => ({ share, inUse: share, demand: share }));
    const [, , third] = rebalanced({ limit: 1500, shards: [...shards, none] });
    expect(third).toBeGreaterThan(400);
    expect(third).toBeLessThan(600);
  });

  it("are not moved for less than a twentieth of an equal part, and always where one has none or all are too many", () => {
    expect(isBalancedOf(250, 250, 250, 250)).toBe(true);
    expect(isBalancedOf(261, 239, 250, 250)).toBe(true);
    expect(isBalancedOf(262, 238, 250, 250)).toBe(false);
    expect(isBalancedOf(250, 250, 250, undefined)).toBe(false);
    expect(isBalancedOf(251, 250, 250, 250)).toBe(false);
  });
});

describe("a rate whose part changes", () => {
  const toleranceMs = 6000;
  const availableAt = (tatMs: number, nowMs: number, burst: number): number => {
    let tat = tatMs;
    for (let count = 0; ; count += 1) {
      const verdict = gcra(tat, nowMs, { count: burst, perMs: toleranceMs, burst });
      if (!verdict.allowed) return count;
      tat = verdict.tatMs;
    }
  };
  const parts = fc.integer({ min: 1, max: 60 });

  it("keeps its messages, up to what the new part may hold at once, and makes none", () => {
    fc.assert(
      fc.property(parts, parts, fc.nat(60), (from, to, used) => {
        const nowMs = 1e12;
        let tatMs = 0;
        for (let count = 0; count < Math.min(used, from); count += 1) {
          const verdict = gcra(tatMs, nowMs, { count: from, perMs: toleranceMs, burst: from });
          if (verdict.allowed) tatMs = verdict.tatMs;
        }
        const before = availableAt(tatMs, nowMs, from);
        const moved = tatOfShare(tatMs, nowMs, toleranceMs, from, to);
        // Rounding may hold the last one up for a moment.
        const soonMs = nowMs + 1;
        expect(availableAt(moved, soonMs, to)).toBe(Math.min(before, to));
      }),
    );
  });

  it("has none left once it has no part, nor any when it gets one again", () => {
    const nowMs = 1e12;
    const without = tatOfShare(0, nowMs, toleranceMs, 10, 0);
    const again = tatOfShare(without, nowMs + 60_000, toleranceMs, 0, 10);
    expect(availableAt(again, nowMs + 60_000, 10)).toBe(0);
    expect(availableAt(again, nowMs + 60_000 + toleranceMs, 10)).toBe(10);
  });

  it("never lets all parts together have more than the whole burst and what the time has earned", () => {
    const limit = 60;
    const steps = fc.array(
      fc.record({ part: fc.nat(2), take: fc.nat(30), waitMs: fc.nat(400), demand: fc.nat(90) }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const startMs = 1e12;
        let nowMs = startMs;
        let taken = 0;
        let shares: readonly number[] = [20, 20, 20];
        const tats = [0, 0, 0];
        for (const { part, take, waitMs, demand } of all) {
          nowMs += waitMs;
          const burst = shares[part] ?? 0;
          for (let count = 0; count < take; count += 1) {
            const verdict = gcra(tats[part] ?? 0, nowMs, {
              count: burst,
              perMs: toleranceMs,
              burst,
            });
            if (!verdict.allowed) break;
            tats[part] = verdict.tatMs;
            taken += 1;
          }
          const before = shares;
          shares = rebalanced({
            limit,
            shards: before.map((share, index) => ({
              share,
              inUse: 0,
              demand: index === part ? demand : 10,
            })),
          });
          for (const [index, to] of shares.entries()) {
            const from = before[index] ?? 0;
            tats[index] = tatOfShare(tats[index] ?? 0, nowMs, toleranceMs, from, to);
          }
          const earned = ((nowMs - startMs) * limit) / toleranceMs;
          expect(taken).toBeLessThanOrEqual(limit + earned + 1e-6);
        }
      }),
    );
  });
});
