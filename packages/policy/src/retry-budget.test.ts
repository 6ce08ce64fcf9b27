import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emptyRetryBudget, noteCall, trySpend, type RetryBudget } from "./retry-budget.ts";

const after = (calls: number): RetryBudget =>
  Array.from({ length: calls }).reduce<RetryBudget>((budget) => noteCall(budget), emptyRetryBudget);

function spendAll(budget: RetryBudget, ratio: number): { spent: number; left: RetryBudget } {
  let spent = 0;
  let left = budget;
  for (let next = trySpend(left, ratio); next !== undefined; next = trySpend(left, ratio)) {
    left = next;
    spent += 1;
  }
  return { spent, left };
}

describe("the retry budget", () => {
  it("is empty at first: the first four calls of a process are not retried", () => {
    for (const calls of [0, 1, 4]) expect(spendAll(after(calls), 0.2).spent).toBe(0);
    expect(spendAll(after(5), 0.2).spent).toBe(1);
  });

  it.each([
    [0, 0],
    [0.07, 7],
    [0.2, 20],
    [0.29, 29],
    [1, 100],
  ])("of ratio %d gives %i retries for 100 calls, and no more for 1,000", (ratio, retries) => {
    expect(spendAll(after(100), ratio).spent).toBe(retries);
    expect(spendAll(after(1000), ratio).spent).toBe(retries);
  });

  it("forgets retries with the calls that they were made for", () => {
    let { left } = spendAll(after(100), 0.2);
    for (let call = 0; call < 99; call += 1) left = noteCall(left);
    expect(trySpend(left, 0.2)).toBeUndefined();
    expect(spendAll(noteCall(left), 0.2).spent).toBe(20);
  });

  it("never lets retries exceed its share of any last 100 calls, whatever the order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 600 }),
        fc.integer({ min: 0, max: 100 }),
        (asks, percent) => {
          const ratio = percent / 100;
          let budget = emptyRetryBudget;
          /** For each first call, the retries made before the next one. */
          const made: number[] = [];
          for (const isRetry of asks) {
            if (!isRetry) {
              budget = noteCall(budget);
              made.push(0);
              continue;
            }
            const next = trySpend(budget, ratio);
            const recent = made.slice(-100);
            const retries = recent.reduce((sum, count) => sum + count, 0);
            expect(next !== undefined).toBe((retries + 1) * 100 <= percent * recent.length);
            if (next === undefined) continue;
            budget = next;
            made[made.length - 1] = (made.at(-1) ?? 0) + 1;
          }
        },
      ),
    );
  });
});
