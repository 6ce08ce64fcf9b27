import { Reason } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { nothingUsed, openBench, price, usualAsk, type CreateBudgetStore } from "./bench.ts";

/** Of the usual prompt with so much output. */
const costOf = (output: number): number => 100 * 150 + output * 600;

export const grantChecks: readonly Check<CreateBudgetStore>[] = [
  {
    name: "I3 grants exactly 10 of 200 reservations against 10 calls",
    run(create) {
      const { store } = openBench(create);
      let granted = 0;
      for (let i = 0; i < 200; i += 1) {
        const reply = store.reserve("batch", { calls: 10 }, usualAsk);
        if (reply === "unavailable") throw new Error("unavailable");
        if (reply.granted) granted += 1;
        else expect(reply.reason).toBe(Reason.BUDGET_CALLS);
      }
      expect(granted).toBe(10);
      expect(store.use("batch").calls).toBe(10);
    },
  },
  {
    name: "sets aside a call, the prompt, the whole output, and what they cost",
    run(create) {
      const { store, take } = openBench(create);
      expect(take("batch", {})).toMatchObject({
        inputTokens: 100,
        outputTokens: 800,
        costNanoUsd: 100 * 150 + 800 * 600,
      });
      expect(store.use("batch")).toEqual({ calls: 1, tokens: 900, costNanoUsd: 495_000 });
    },
  },
  {
    name: "lowers the output to the tokens that are left, and refuses with BUDGET_TOKENS below the least",
    run(create) {
      const { store, take, refusal } = openBench(create);
      const caps = { tokens: 1150 };
      take("batch", caps);
      expect(take("batch", caps)).toMatchObject({ inputTokens: 100, outputTokens: 150 });
      expect(store.use("batch").tokens).toBe(1150);
      expect(refusal("batch", caps, { inputTokens: 0 })).toBe(Reason.BUDGET_TOKENS);
      expect(refusal("other", { tokens: 149 })).toBe(Reason.BUDGET_TOKENS);
      expect(take("other", { tokens: 150 }).outputTokens).toBe(50);
    },
  },
  {
    name: "lowers the output to what money is left for, and refuses with BUDGET_COST below the least",
    run(create) {
      const { store, take, refusal } = openBench(create);
      const caps = { costNanoUsd: costOf(800) + costOf(150) + 599 };
      take("batch", caps);
      expect(take("batch", caps)).toMatchObject({ outputTokens: 150, costNanoUsd: costOf(150) });
      expect(store.use("batch").costNanoUsd).toBe(costOf(800) + costOf(150));
      expect(refusal("batch", caps, { inputTokens: 0 })).toBe(Reason.BUDGET_COST);
      expect(refusal("other", { costNanoUsd: costOf(50) - 1 })).toBe(Reason.BUDGET_COST);
      expect(take("other", { costNanoUsd: costOf(50) }).outputTokens).toBe(50);
    },
  },
  {
    name: "refuses under a cap on money what has no known price",
    run(create) {
      const { take, refusal } = openBench(create);
      expect(refusal("batch", { costNanoUsd: 1e12 }, { price: undefined })).toBe(
        Reason.BUDGET_COST,
      );
      expect(take("batch", { calls: 1 }, { price: undefined }).costNanoUsd).toBe(0);
    },
  },
  {
    name: "I14 charges nothing for what it refuses",
    run(create) {
      const { store, take, refusal } = openBench(create);
      refusal("batch", { calls: 0 });
      refusal("batch", { tokens: 10 });
      refusal("batch", { costNanoUsd: 10 });
      expect(store.use("batch")).toEqual(nothingUsed);
      take("batch", { calls: 1, tokens: 900, costNanoUsd: 495_000 });
    },
  },
  {
    name: "keeps to a cap that is lowered while the run goes on",
    run(create) {
      const { take, refusal } = openBench(create);
      for (let i = 0; i < 5; i += 1) take("batch", { calls: 10 });
      expect(refusal("batch", { calls: 5 })).toBe(Reason.BUDGET_CALLS);
      expect(refusal("batch", { tokens: 1000 })).toBe(Reason.BUDGET_TOKENS);
      expect(refusal("batch", { costNanoUsd: 1 }, { price })).toBe(Reason.BUDGET_COST);
      take("batch", { calls: 6 });
    },
  },
];
