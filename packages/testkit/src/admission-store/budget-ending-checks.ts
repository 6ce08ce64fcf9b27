import type { Usage } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import type { CreateAdmissionStore } from "./bench.ts";
import {
  callOf,
  costOf,
  granted,
  usual,
  usualCost,
  usualTokens,
  withBudgets,
} from "./budget-bench.ts";

const used: Usage = { inputTokens: 60, outputTokens: 30 };
const usedTokens = used.inputTokens + used.outputTokens;
const tokens = 5000;
const both = { userBudget: { tokens }, globalBudget: { tokens: 2 * tokens } };

/** Room for exactly one usual call, by every cap. */
const one = { calls: 1, tokens: usualTokens, costNanoUsd: usualCost };

/** What a provider might tell that is no count of tokens. */
const notUsage = [
  { inputTokens: Number.NaN, outputTokens: 1 },
  { inputTokens: 1, outputTokens: Number.POSITIVE_INFINITY },
  { inputTokens: -1000, outputTokens: 1 },
  { inputTokens: 0.5, outputTokens: 1 },
];

export const budgetEndingChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "charges real usage in place of the worst case, in tokens and in money, and keeps the call",
    async run(create) {
      await withBudgets(create, both, async ({ take, tokensLeft }) => {
        (await take("ann")).settle(used);
        expect(await tokensLeft("ann")).toBe(tokens - usedTokens);
      });
      const costNanoUsd = costOf(used) + usualCost;
      await withBudgets(create, { globalBudget: { costNanoUsd } }, async ({ take, refused }) => {
        (await take("ann")).settle(used);
        expect((await take("ann")).outputTokens).toBe(usual.outputTokens);
        await refused("ann", { inputTokens: 0, outputTokens: 1, minOutputTokens: 1 });
      });
      await withBudgets(create, { globalBudget: { calls: 1 } }, async ({ take, refused }) => {
        (await take("ann")).settle(used);
        await refused("ann");
      });
    },
  },
  {
    name: "charges usage beyond what was set aside as it is told, and refuses from then on",
    run: (create) =>
      withBudgets(create, { globalBudget: { tokens: 1000 } }, async ({ take, refused }) => {
        (await take("ann")).settle({ inputTokens: 100, outputTokens: 1000 });
        await refused("ann", { inputTokens: 0, outputTokens: 0, minOutputTokens: 0 });
      }),
  },
  {
    name: "keeps the worst case charged whole where no usage is told, or none that counts tokens",
    async run(create) {
      for (const told of [undefined, ...notUsage]) {
        await withBudgets(create, both, async ({ take, tokensLeft }) => {
          (await take("ann")).settle(told);
          expect(await tokensLeft("ann"), JSON.stringify(told)).toBe(tokens - usualTokens);
        });
      }
    },
  },
  {
    name: "gives everything back by void, the call included",
    run: (create) =>
      withBudgets(create, { userBudget: one, globalBudget: one }, async ({ take, refused }) => {
        const reservation = await take("ann");
        await refused("ann");
        reservation.void();
        expect((await take("ann")).outputTokens).toBe(usual.outputTokens);
        await refused("ann");
      }),
  },
  {
    name: "counts only the first ending of a reservation, in the same turn and later",
    run: (create) =>
      withBudgets(create, both, async ({ take, tokensLeft }) => {
        const settled = await take("ann");
        settled.settle(used);
        settled.settle({ inputTokens: 1, outputTokens: 1 });
        settled.void();
        expect(await tokensLeft("ann")).toBe(tokens - usedTokens);
        settled.settle(undefined);
        settled.void();
        expect(await tokensLeft("ann")).toBe(tokens - usedTokens);
        const given = await take("ann");
        given.void();
        given.void();
        given.settle(used);
        expect(await tokensLeft("ann")).toBe(tokens - usedTokens);
        given.settle(used);
        given.void();
        expect(await tokensLeft("ann")).toBe(tokens - usedTokens);
      }),
  },
  {
    name: "ends each of several reservations on its own, further ones too",
    run: (create) =>
      withBudgets(create, both, async ({ take, tokensLeft }) => {
        const first = await take("ann");
        const second = await take("ann");
        const further = granted(await first.further(usual));
        second.void();
        expect(await tokensLeft("ann")).toBe(tokens - 2 * usualTokens);
        first.settle(used);
        expect(await tokensLeft("ann")).toBe(tokens - usedTokens - usualTokens);
        further.settle({ inputTokens: 1, outputTokens: 2 });
        expect(await tokensLeft("ann")).toBe(tokens - usedTokens - 3);
      }),
  },
  {
    name: "gives no budget back with the lease, neither released nor expired",
    run: (create) =>
      withBudgets(create, both, async ({ admitted, clock, tokensLeft, store }) => {
        (await admitted("ann", callOf())).lease.release();
        expect(await tokensLeft("ann")).toBe(tokens - usualTokens);
        const { reservation } = await admitted("ann", callOf());
        await clock.advanceAsync(store.leaseMs + 1);
        expect(await tokensLeft("ann")).toBe(tokens - 2 * usualTokens);
        // A reservation outlives it.
        reservation?.settle(used);
        expect(await tokensLeft("ann")).toBe(tokens - usualTokens - usedTokens);
      }),
  },
];
