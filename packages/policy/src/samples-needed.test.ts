import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { samplesNeeded } from "./samples-needed.ts";
import { wilsonInterval } from "./wilson-interval.ts";

describe("samplesNeeded", () => {
  test.each([
    ["all of 10 agree: 73 in all have a lower end of 0.95", 10, 10, 0.95, 63],
    ["enough is there", 1_000, 1_000, 0.95, 0],
    ["the rate is below the target", 9, 10, 0.95, Infinity],
    ["the rate is the target", 19, 20, 0.95, Infinity],
    ["nothing is ever sure to be all", 10, 10, 1, Infinity],
    ["no target is reached by anything", 0, 10, 0, 0],
    ["nothing was seen", 0, 0, 0.95, undefined],
  ])("%s", (_what, successes, trials, target, needed) => {
    expect(samplesNeeded(successes, trials, target)).toBe(needed);
  });

  const anyCounts = fc
    .integer({ min: 1, max: 10_000 })
    .chain((trials) => fc.tuple(fc.integer({ min: 0, max: trials }), fc.constant(trials)));
  const anyTarget = fc.integer({ min: 1, max: 999 }).map((mille) => mille / 1000);

  test("at as many the lower end reaches the target, and with one fewer it does not", () => {
    fc.assert(
      fc.property(anyCounts, anyTarget, ([successes, trials], target) => {
        const rate = successes / trials;
        fc.pre(rate > target);
        const needed = samplesNeeded(successes, trials, target) ?? Number.NaN;
        const lowAt = (n: number): number => wilsonInterval(rate * n, n).low;
        expect(lowAt(trials + needed)).toBeGreaterThanOrEqual(target - 1e-9);
        expect(needed === 0 || lowAt(trials + needed - 1) < target + 1e-9).toBe(true);
      }),
    );
  });

  test("no number of them is enough where the rate is not above the target", () => {
    fc.assert(
      fc.property(anyCounts, anyTarget, ([successes, trials], target) => {
        fc.pre(successes / trials <= target);
        expect(samplesNeeded(successes, trials, target)).toBe(Infinity);
      }),
    );
  });
});
