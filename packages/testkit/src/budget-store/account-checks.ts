import { Reason } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { granted, nothingUsed, usualAsk, withBudgets, type BudgetHarness } from "./bench.ts";

const names = ["a", "b", "a:b", "", "undefined", "__proto__", "constructor", "toString", "🧪"];

export const accountChecks: readonly Check<BudgetHarness>[] = [
  {
    name: "keeps budgets apart, whatever their names, and one that nobody used has used nothing",
    run: (harness) =>
      withBudgets(harness, async ({ take, refusal, use }) => {
        for (const name of names) {
          expect(await use(name), name).toEqual(nothingUsed);
          await take(name, { calls: 1 });
        }
        for (const name of names) {
          expect(await refusal(name, { calls: 1 }), name).toBe(Reason.BUDGET_CALLS);
          expect((await use(name)).calls, name).toBe(1);
        }
      }),
  },
  {
    name: "counts what is reserved further on the same budget, under the same caps",
    run: (harness) =>
      withBudgets(harness, async ({ budgets, take, use }) => {
        const first = await take("batch", { calls: 2 });
        first.settle({ inputTokens: 100, outputTokens: 10 });
        const second = granted(await first.further(usualAsk));
        expect(second).toMatchObject({ inputTokens: 100, outputTokens: 800, costNanoUsd: 495_000 });
        expect(await use("batch")).toMatchObject({ calls: 2, tokens: 110 + 900 });
        const over = { granted: false, reason: Reason.BUDGET_CALLS };
        expect(await first.further(usualAsk)).toEqual(over);
        expect(await second.further(usualAsk)).toEqual(over);
        second.void();
        await budgets.flush();
        const third = granted(await second.further(usualAsk));
        expect(await first.further(usualAsk)).toEqual(over);
        third.settle(undefined);
        expect(await use("batch")).toMatchObject({ calls: 2, tokens: 110 + 900 });
      }),
  },
  {
    name: "lowers what is reserved further to what is left",
    run: (harness) =>
      withBudgets(harness, async ({ take, use }) => {
        const first = await take("batch", { tokens: 1200 });
        expect(granted(await first.further(usualAsk))).toMatchObject({ outputTokens: 200 });
        expect((await use("batch")).tokens).toBe(1200);
      }),
  },
];
