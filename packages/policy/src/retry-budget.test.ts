import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { earn, emptyRetryBudget, trySpend, type RetryBudget } from "./retry-budget.ts";

function afterCalls(calls: number, ratio: number, state: RetryBudget = emptyRetryBudget) {
  let budget = state;
  for (let i = 0; i < calls; i += 1) budget = earn(budget, ratio);
  return budget;
}

/** How many retries are granted at once. */
function retriesOf(state: RetryBudget): number {
  let count = 0;
  for (let left = trySpend(state); left !== undefined; left = trySpend(left)) count += 1;
  return count;
}

/** In thousandths, so that the bound can be computed without rounding. */
const anyRatio = fc.integer({ min: 0, max: 1000 });
const anySequence = fc.array(fc.constantFrom("call", "retry"), { maxLength: 2000, size: "max" });

describe("the retry budget", () => {
  it("is empty at first", () => {
    expect(trySpend(emptyRetryBudget)).toBeUndefined();
  });

  it("grants one retry for five calls at a ratio of 0.2", () => {
    expect(trySpend(afterCalls(4, 0.2))).toBeUndefined();
    const spent = trySpend(afterCalls(5, 0.2));
    expect(spent).toBeDefined();
    expect(trySpend(spent ?? emptyRetryBudget)).toBeUndefined();
  });

  it("over any sequence grants at most ratio × calls, exactly", () => {
    fc.assert(
      fc.property(anyRatio, anySequence, (thousandths, sequence) => {
        let state = emptyRetryBudget;
        let calls = 0;
        let retries = 0;
        for (const step of sequence) {
          if (step === "call") {
            calls += 1;
            state = earn(state, thousandths / 1000);
          } else {
            const left = trySpend(state);
            if (left !== undefined) retries += 1;
            state = left ?? state;
          }
          expect(retries * 1000).toBeLessThanOrEqual(thousandths * calls);
        }
      }),
    );
  });

  it("grants every retry that the ratio allows, while the calls are recent", () => {
    fc.assert(
      fc.property(anyRatio, fc.integer({ min: 0, max: 100 }), (thousandths, calls) => {
        const granted = retriesOf(afterCalls(calls, thousandths / 1000));
        expect(granted).toBe(Math.floor((thousandths * calls) / 1000));
      }),
    );
  });

  it("has not drifted after a hundred thousand calls, each fifth of which was retried", () => {
    let state = emptyRetryBudget;
    let retries = 0;
    for (let i = 0; i < 20_000; i += 1) {
      state = afterCalls(5, 0.2, state);
      const left = trySpend(state);
      if (left === undefined) break;
      state = left;
      retries += 1;
    }
    expect(retries).toBe(20_000);
    expect(state).toEqual(emptyRetryBudget);
  });

  it("saves up no more over a long good time than a hundred calls earn", () => {
    expect(retriesOf(afterCalls(1_000_000, 0.2))).toBe(20);
    fc.assert(
      fc.property(anyRatio, fc.integer({ min: 100, max: 1000 }), (thousandths, calls) => {
        const granted = retriesOf(afterCalls(calls, thousandths / 1000));
        expect(granted).toBe(Math.floor(thousandths / 10));
      }),
    );
  });

  it("never grants more than any ratio allows, however it is written", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (ratio) => {
        expect(retriesOf(afterCalls(100, ratio))).toBeLessThanOrEqual(ratio * 100 + 1e-6);
      }),
    );
  });

  it("earns a ratio of six decimals whole, though its product rounds below it", () => {
    expect(earn(emptyRetryBudget, 0.000251)).toEqual({ millionths: 251 });
    expect(earn(emptyRetryBudget, 0.000251999)).toEqual({ millionths: 251 });
  });

  it("at a ratio of 0 grants none, and at 1 one for each call", () => {
    expect(retriesOf(afterCalls(1000, 0))).toBe(0);
    expect(retriesOf(afterCalls(7, 1))).toBe(7);
  });

  it("takes no memory once it is full", () => {
    const full = afterCalls(100, 0.2);
    expect(earn(full, 0.2)).toBe(full);
  });
});
