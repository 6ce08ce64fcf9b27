import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { wilsonInterval, z95 } from "./wilson-interval.ts";

describe("wilsonInterval", () => {
  // Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I.
  test.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])("%d of %d is from %f to %f, as published", (successes, trials, low, high) => {
    const interval = wilsonInterval(successes, trials);
    expect(interval.low).toBeCloseTo(low, 4);
    expect(interval.high).toBeCloseTo(high, 4);
  });

  test("nothing tried is nothing known", () => {
    expect(wilsonInterval(0, 0)).toEqual({ low: 0, high: 1 });
  });

  test("none and all end exactly at the edge, and are no point", () => {
    const [none, all] = [wilsonInterval(0, 7), wilsonInterval(7, 7)];
    expect([none.low, all.high]).toEqual([0, 1]);
    expect(none.high).toBeCloseTo(1 - all.low, 12);
    expect(none.high).toBeGreaterThan(0.3);
  });

  test("the rate is within it, its ends solve Wilson's equation, and more trials narrow it", () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 1_000_000 })
          .chain((trials) => fc.tuple(fc.integer({ min: 0, max: trials }), fc.constant(trials))),
        ([successes, trials]) => {
          const rate = successes / trials;
          const { low, high } = wilsonInterval(successes, trials);
          expect(low).toBeGreaterThanOrEqual(0);
          expect(high).toBeLessThanOrEqual(1);
          expect(low).toBeLessThanOrEqual(rate);
          expect(high).toBeGreaterThanOrEqual(rate);
          for (const end of [low, high]) {
            if (end === rate) continue;
            const deviations = Math.abs(rate - end) / Math.sqrt((end * (1 - end)) / trials);
            expect(deviations).toBeCloseTo(z95, 4);
          }
          const four = wilsonInterval(4 * successes, 4 * trials);
          expect(four.high - four.low).toBeLessThan(high - low);
        },
      ),
    );
  });

  test("who wants to be surer gets a wider one", () => {
    const [usual, sure] = [wilsonInterval(30, 100), wilsonInterval(30, 100, 2.5758)];
    expect(sure.low).toBeLessThan(usual.low);
    expect(sure.high).toBeGreaterThan(usual.high);
  });
});
