import { Reason } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { nothingUsed, price, usualAsk, withBudgets, type BudgetHarness } from "./bench.ts";

/** Of the usual prompt with so much output. */
const costOf = (output: number): number => 100 * 150 + output * 600;

export const grantChecks: readonly Check<BudgetHarness>[] = [
  {
    name: "I3 grants exactly 10 of 200 reservations against 10 calls, all asked for at once",
    run: (harness) =>
      withBudgets(harness, async ({ budgets, use }) => {
        const replies = await Promise.all(
          Array.from({ length: 200 }, async () =>
            budgets.reserve("batch", { calls: 10 }, usualAsk),
          ),
        );
        const reasons = replies.map((reply) => {
          if (reply === "unavailable") throw new Error("unavailable");
          return reply.granted ? "granted" : reply.reason;
        });
        expect(reasons.filter((reason) => reason === "granted")).toHaveLength(10);
        expect(reasons.filter((reason) => reason === Reason.BUDGET_CALLS)).toHaveLength(190);
        expect((await use("batch")).calls).toBe(10);
      }),
  },
  {
    name: "sets aside a call, the prompt, the whole output, and what they cost",
    run: (harness) =>
      withBudgets(harness, async ({ take, use }) => {
        expect(await take("batch", {})).toMatchObject({
          inputTokens: 100,
          outputTokens: 800,
          costNanoUsd: 100 * 150 + 800 * 600,
        });
        expect(await use("batch")).toEqual({ calls: 1, tokens: 900, costNanoUsd: 495_000 });
      }),
  },
  {
    name: "lowers the output to the tokens that are left, and refuses with BUDGET_TOKENS below the least",
    run: (harness) =>
      withBudgets(harness, async ({ take, refusal, use }) => {
        const caps = { tokens: 1150 };
        await take("batch", caps);
        expect(await take("batch", caps)).toMatchObject({ inputTokens: 100, outputTokens: 150 });
        expect((await use("batch")).tokens).toBe(1150);
        expect(await refusal("batch", caps, { inputTokens: 0 })).toBe(Reason.BUDGET_TOKENS);
        expect(await refusal("other", { tokens: 149 })).toBe(Reason.BUDGET_TOKENS);
        expect((await take("other", { tokens: 150 })).outputTokens).toBe(50);
      }),
  },
  {
    name: "lowers the output to what money is left for, and refuses with BUDGET_COST below the least",
    run: (harness) =>
      withBudgets(harness, async ({ take, refusal, use }) => {
        const caps = { costNanoUsd: costOf(800) + costOf(150) + 599 };
        await take("batch", caps);
        expect(await take("batch", caps)).toMatchObject({
          outputTokens: 150,
          costNanoUsd: costOf(150),
        });
        expect((await use("batch")).costNanoUsd).toBe(costOf(800) + costOf(150));
        expect(await refusal("batch", caps, { inputTokens: 0 })).toBe(Reason.BUDGET_COST);
        expect(await refusal("other", { costNanoUsd: costOf(50) - 1 })).toBe(Reason.BUDGET_COST);
        expect((await take("other", { costNanoUsd: costOf(50) })).outputTokens).toBe(50);
      }),
  },
  {
    name: "refuses under a cap on money what has no known price",
    run: (harness) =>
      withBudgets(harness, async ({ take, refusal }) => {
        expect(await refusal("batch", { costNanoUsd: 1e12 }, { price: undefined })).toBe(
          Reason.BUDGET_COST,
        );
        expect((await take("batch", { calls: 1 }, { price: undefined })).costNanoUsd).toBe(0);
      }),
  },
  {
    name: "I14 charges nothing for what it refuses",
    run: (harness) =>
      withBudgets(harness, async ({ take, refusal, use }) => {
        await refusal("batch", { tokens: 10 });
        await refusal("batch", { costNanoUsd: 10 });
        // Where one cap refuses, the others take nothing either.
        await refusal("batch", { calls: 1, tokens: 10 });
        expect(await use("batch")).toEqual(nothingUsed);
        const all = { calls: 1, tokens: 900, costNanoUsd: 495_000 };
        await take("batch", all);
        await refusal("batch", { calls: 1 });
        expect(await use("batch")).toEqual(all);
      }),
  },
  {
    name: "keeps to a cap that is lowered while calls are under way",
    run: (harness) =>
      withBudgets(harness, async ({ take, refusal }) => {
        for (let i = 0; i < 5; i += 1) await take("batch", { calls: 10 });
        expect(await refusal("batch", { calls: 5 })).toBe(Reason.BUDGET_CALLS);
        expect(await refusal("batch", { tokens: 1000 })).toBe(Reason.BUDGET_TOKENS);
        expect(await refusal("batch", { costNanoUsd: 1 }, { price })).toBe(Reason.BUDGET_COST);
        await take("batch", { calls: 6 });
      }),
  },
];
