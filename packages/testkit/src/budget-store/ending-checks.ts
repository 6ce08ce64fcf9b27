import type { Usage } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { nothingUsed, withBudgets, type BudgetHarness } from "./bench.ts";

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

export const endingChecks: readonly Check<BudgetHarness>[] = [
  {
    name: "charges real usage in place of what was set aside, and keeps the call",
    run: (harness) =>
      withBudgets(harness, async ({ take, refusal, use }) => {
        (await take("batch", {})).settle(usage);
        expect(await use("batch")).toEqual(settled);
        await take("batch", { tokens: 990 });
        await refusal("batch", { tokens: 990 });
      }),
  },
  {
    name: "charges usage beyond what was set aside as it is told, and refuses from then on",
    run: (harness) =>
      withBudgets(harness, async ({ take, refusal, use }) => {
        (await take("batch", { tokens: 900 })).settle({ inputTokens: 100, outputTokens: 1000 });
        expect((await use("batch")).tokens).toBe(1100);
        await refusal("batch", { tokens: 1100 });
        await take("batch", { tokens: 1250 });
      }),
  },
  {
    name: "keeps the whole reservation charged when no usage is told",
    run: (harness) =>
      withBudgets(harness, async ({ take, use }) => {
        (await take("batch", {})).settle(undefined);
        expect(await use("batch")).toEqual(whole);
      }),
  },
  {
    name: "keeps the whole reservation charged when what is told is no usage",
    run: (harness) =>
      withBudgets(harness, async ({ take, use }) => {
        for (const told of notUsage) {
          const name = JSON.stringify(told);
          (await take(name, {})).settle(told);
          expect(await use(name), name).toEqual(whole);
        }
      }),
  },
  {
    name: "gives everything back by void, the call included",
    run: (harness) =>
      withBudgets(harness, async ({ take, refusal, use }) => {
        const caps = { calls: 1, tokens: 900, costNanoUsd: 495_000 };
        const reservation = await take("batch", caps);
        await refusal("batch", caps);
        reservation.void();
        expect(await use("batch")).toEqual(nothingUsed);
        expect((await take("batch", caps)).outputTokens).toBe(800);
      }),
  },
  {
    name: "counts a second settlement as nothing, in the same turn or later",
    run: (harness) =>
      withBudgets(harness, async ({ take, use }) => {
        const reservation = await take("batch", {});
        reservation.settle(usage);
        reservation.settle(usage);
        expect(await use("batch")).toEqual(settled);
        reservation.settle({ inputTokens: 0, outputTokens: 0 });
        reservation.settle(undefined);
        expect(await use("batch")).toEqual(settled);
      }),
  },
  {
    name: "counts only the first ending of each reservation",
    run: (harness) =>
      withBudgets(harness, async ({ take, use }) => {
        const kept = await take("batch", {});
        kept.settle(undefined);
        kept.void();
        expect(await use("batch")).toEqual(whole);
        kept.void();
        expect(await use("batch")).toEqual(whole);
        const given = await take("other", {});
        given.void();
        given.void();
        expect(await use("other")).toEqual(nothingUsed);
        given.settle(usage);
        expect(await use("other")).toEqual(nothingUsed);
      }),
  },
  {
    name: "ends each of several reservations on its own",
    run: (harness) =>
      withBudgets(harness, async ({ take, use }) => {
        const first = await take("batch", {});
        const second = await take("batch", {});
        const third = await take("batch", {});
        second.void();
        first.settle(usage);
        third.settle(undefined);
        expect(await use("batch")).toEqual({
          calls: 2,
          tokens: 90 + 900,
          costNanoUsd: settled.costNanoUsd + whole.costNanoUsd,
        });
      }),
  },
];
