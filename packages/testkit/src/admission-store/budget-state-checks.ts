import { admissionDimensions } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import type { CreateAdmissionStore } from "./bench.ts";
import { callOf, costOf, usual, usualTokens, withBudgets } from "./budget-bench.ts";

const dayMs = 86_400_000;
const every = {
  userInFlight: { limit: 3 },
  globalInFlight: { limit: 5, mode: "shadow" },
  messageRate: { count: 1, perMs: 1000, burst: 4 },
  userBudget: { calls: 9 },
  globalBudget: { tokens: 5000, mode: "shadow" },
} as const;

export const budgetStateChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "tells with each answer how each dimension stands after it, in the order of dimensions",
    run: (create) =>
      withBudgets(create, every, async ({ clock, admitted }) => {
        clock.stepWall(dayMs / 2);
        const { states } = await admitted("ann", callOf());
        expect(states?.map(({ dimension }) => dimension)).toEqual(admissionDimensions);
        expect(states).toMatchObject([
          { mode: "enforce", limit: 3, remaining: 2 },
          { mode: "shadow", limit: 5, remaining: 4 },
          { mode: "enforce", limit: 4, remaining: 3, resetMs: 1000 },
          { mode: "enforce", unit: "calls", limit: 9, remaining: 8, resetMs: dayMs / 2 },
          {
            mode: "shadow",
            unit: "tokens",
            limit: 5000,
            remaining: 5000 - usualTokens,
            resetMs: dayMs / 2,
          },
        ]);
        // Only budgets count something that needs a unit.
        expect(states?.filter(({ unit }) => unit !== undefined)).toHaveLength(2);
      }),
  },
  {
    name: "tells a budget of several caps by the first of calls, tokens and money",
    async run(create) {
      const costNanoUsd = 3 * costOf(usual);
      const told = [
        [
          { calls: 3, tokens: 5000, costNanoUsd },
          { unit: "calls", limit: 3, remaining: 2 },
        ],
        [
          { tokens: 5000, costNanoUsd },
          { unit: "tokens", limit: 5000, remaining: 4100 },
        ],
        [
          { costNanoUsd },
          { unit: "nano_usd", limit: costNanoUsd, remaining: costNanoUsd - costOf(usual) },
        ],
      ] as const;
      for (const [caps, state] of told) {
        await withBudgets(create, { userBudget: caps }, async ({ admitted }) => {
          expect((await admitted("ann", callOf())).states).toMatchObject([state]);
        });
      }
    },
  },
  {
    name: "tells the modes that the request brought",
    run: (create) =>
      withBudgets(create, every, async ({ admitted }) => {
        const modes = { user_budget: "off", global_budget: "enforce" } as const;
        const { states } = await admitted("ann", { ...callOf(), modes });
        expect(states?.slice(-2)).toMatchObject([{ mode: "off" }, { mode: "enforce" }]);
      }),
  },
  {
    name: "tells with a refusal what was left, which it took nothing of, and never less than nothing",
    run: (create) =>
      withBudgets(
        create,
        { userBudget: { tokens: 920 }, globalBudget: { tokens: 1000 } },
        async ({ take, refused }) => {
          const first = await take("ann");
          for (let i = 0; i < 2; i += 1) {
            const { states } = await refused("ann");
            expect(states).toMatchObject([
              { dimension: "user_budget", remaining: 20 },
              { dimension: "global_budget", remaining: 100 },
            ]);
          }
          first.settle({ inputTokens: 100, outputTokens: 5000 });
          expect((await refused("ann")).states).toMatchObject([{ remaining: 0 }, { remaining: 0 }]);
        },
      ),
  },
  {
    name: "tells how things stood at the answer, however late it is read",
    run: (create) =>
      withBudgets(create, every, async ({ clock, admitted, tokensLeft }) => {
        const first = await admitted("ann", callOf());
        const expected = await withFirstStates(create);
        const second = await admitted("ann", callOf());
        second.reservation?.settle({ inputTokens: 1, outputTokens: 1 });
        first.reservation?.void();
        first.lease.release();
        await clock.advanceAsync(100);
        await tokensLeft("ben");
        expect(first.states).toEqual(expected);
        expect(second.states).toMatchObject([
          { remaining: 1 },
          { remaining: 3 },
          { remaining: 2, resetMs: 2000 },
          { remaining: 7 },
          { remaining: 5000 - 2 * usualTokens },
        ]);
      }),
  },
];

/** The states of a store's first answer, read at once. */
async function withFirstStates(create: CreateAdmissionStore): Promise<unknown> {
  let read: unknown;
  await withBudgets(create, every, async ({ admitted }) => {
    const { states } = await admitted("ann", callOf());
    read = structuredClone(states);
  });
  return read;
}
