import type { Usage } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { nothingUsed, openBench, type CreateBudgetStore } from "./bench.ts";

const usage: Usage = { inputTokens: 60, outputTokens: 30 };
const settled = { calls: 1, tokens: 90, costNanoUsd: 60 * 150 + 30 * 600 };
const whole = { calls: 1, tokens: 900, costNanoUsd: 495_000 };

/** What a provider might tell that is no count of tokens. */
const notUsage = [
  { inputTokens: Number.NaN, outputTokens: 1 },
  { inputTokens: 1, outputTokens: Number.POSITIVE_INFINITY },
  { inputTokens: -1_000_000, outputTokens: 1 },
  { inputTokens: 0.5, outputTokens: 1 },
];

export const endingChecks: readonly Check<CreateBudgetStore>[] = [
  {
    name: "charges real usage in place of what was set aside, and keeps the call",
    run(create) {
      const { store, take, refusal } = openBench(create);
      take("batch", {}).settle(usage);
      expect(store.use("batch")).toEqual(settled);
      take("batch", { tokens: 990 });
      refusal("batch", { tokens: 990 });
    },
  },
  {
    name: "keeps the whole reservation charged when no usage is told",
    run(create) {
      const { store, take } = openBench(create);
      take("batch", {}).settle(undefined);
      expect(store.use("batch")).toEqual(whole);
    },
  },
  {
    name: "keeps the whole reservation charged when what is told is no usage",
    run(create) {
      for (const told of notUsage) {
        const { store, take } = openBench(create);
        take("batch", {}).settle(told);
        expect(store.use("batch"), JSON.stringify(told)).toEqual(whole);
      }
    },
  },
  {
    name: "gives everything back by void, the call included",
    run(create) {
      const { store, take, refusal } = openBench(create);
      const caps = { calls: 1, tokens: 900, costNanoUsd: 495_000 };
      const reservation = take("batch", caps);
      refusal("batch", caps);
      reservation.void();
      expect(store.use("batch")).toEqual(nothingUsed);
      expect(take("batch", caps).outputTokens).toBe(800);
    },
  },
  {
    name: "counts a second settlement as nothing",
    run(create) {
      const { store, take } = openBench(create);
      const reservation = take("batch", {});
      reservation.settle(usage);
      reservation.settle(usage);
      reservation.settle({ inputTokens: 0, outputTokens: 0 });
      reservation.settle(undefined);
      expect(store.use("batch")).toEqual(settled);
    },
  },
  {
    name: "counts only the first ending of each reservation",
    run(create) {
      const { store, take } = openBench(create);
      const kept = take("batch", {});
      kept.settle(undefined);
      kept.void();
      kept.void();
      expect(store.use("batch")).toEqual(whole);
      const given = take("other", {});
      given.void();
      given.void();
      given.settle(usage);
      expect(store.use("other")).toEqual(nothingUsed);
    },
  },
  {
    name: "ends each of several reservations on its own",
    run(create) {
      const { store, take } = openBench(create);
      const [first, second, third] = [take("batch", {}), take("batch", {}), take("batch", {})];
      second.void();
      first.settle(usage);
      third.settle(undefined);
      expect(store.use("batch")).toEqual({
        calls: 2,
        tokens: 90 + 900,
        costNanoUsd: settled.costNanoUsd + whole.costNanoUsd,
      });
    },
  },
];
