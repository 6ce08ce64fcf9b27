import { Reason } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import type { CreateAdmissionStore } from "./bench.ts";
import { callOf, costOf, granted, usual, usualTokens, withBudgets } from "./budget-bench.ts";

/** Calls of 16 tokens, of which a budget of 200 holds 12. */
const sixteen = { inputTokens: 6, outputTokens: 10, minOutputTokens: 10 };

export const budgetShareChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "I14 charges nothing for what a place, the rate or another budget refuses",
    async run(create) {
      const budgets = { userBudget: { tokens: 5000 } };
      const shut = [
        { userInFlight: { limit: 1 } },
        { messageRate: { count: 1, perMs: 500, burst: 1 } },
      ];
      for (const by of shut) {
        await withBudgets(create, { ...budgets, ...by }, async (bench) => {
          const first = await bench.admitted("ann", callOf());
          for (let i = 0; i < 5; i += 1) await bench.refused("ann");
          first.lease.release();
          await bench.clock.advanceAsync(500);
          expect(await bench.tokensLeft("ann")).toBe(5000 - usualTokens);
        });
      }
      const other = { userBudget: { tokens: 2000 }, globalBudget: { costNanoUsd: costOf(usual) } };
      await withBudgets(create, other, async ({ take, refused }) => {
        const first = await take("ben");
        for (let i = 0; i < 5; i += 1) {
          expect((await refused("ann")).violated).toEqual(["global_budget"]);
        }
        first.void();
        await take("ann");
      });
    },
  },
  {
    name: "I14 takes neither a place nor a message of the rate for what a budget refuses",
    run: (create) =>
      withBudgets(
        create,
        {
          userBudget: { calls: 1 },
          globalInFlight: { limit: 3 },
          messageRate: { count: 1, perMs: 60_000, burst: 3 },
        },
        async ({ take, refused }) => {
          await take("ann");
          for (let i = 0; i < 5; i += 1) await refused("ann");
          await take("ben");
          await take("cat");
        },
      ),
  },
  {
    name: "I3 runs 12 of 200 calls of 16 tokens, all asked for at once, on a budget of 200",
    async run(create) {
      const budgets = [
        { globalBudget: { tokens: 200 } },
        { globalBudget: { calls: 12 } },
        { globalBudget: { costNanoUsd: 12 * costOf(sixteen) + 1 } },
        { userBudget: { tokens: 200 } },
      ];
      for (const options of budgets) {
        await withBudgets(create, options, async ({ ask }) => {
          const replies = await Promise.all(
            Array.from({ length: 200 }, () => ask("ann", callOf(sixteen))),
          );
          expect(replies.filter(({ admitted }) => admitted)).toHaveLength(12);
        });
      }
    },
  },
  {
    name: "I3 sets further calls aside on the same budgets, and refuses them as it refuses a request",
    async run(create) {
      await withBudgets(
        create,
        { userBudget: { tokens: 2500 }, globalBudget: { tokens: 2000 } },
        async ({ take, tokensLeft }) => {
          const first = await take("ann");
          const second = granted(await first.further(usual));
          expect(second).toMatchObject({ outputTokens: 800, costNanoUsd: costOf(usual) });
          expect(await tokensLeft("ben")).toBe(200);
          // Also once the first has ended.
          first.settle({ inputTokens: 100, outputTokens: 700 });
          expect(await tokensLeft("ben")).toBe(300);
          const third = granted(await second.further(usual));
          expect(third.outputTokens).toBe(200);
          expect(await second.further(usual)).toEqual({
            granted: false,
            reason: Reason.BUDGET_TOKENS,
          });
          third.void();
          expect(await tokensLeft("ann")).toBe(300);
        },
      );
      await withBudgets(create, { userBudget: { calls: 2 } }, async ({ take, refused }) => {
        const first = await take("ann");
        granted(await first.further(usual));
        expect(await first.further(usual)).toMatchObject({ reason: Reason.BUDGET_CALLS });
        await refused("ann");
        await take("ben");
      });
    },
  },
  {
    name: "I3 exceeds no cap by further calls that are asked for at once, and takes no place or rate for them",
    run: (create) =>
      withBudgets(
        create,
        {
          globalBudget: { tokens: 200 },
          userInFlight: { limit: 1 },
          messageRate: { count: 1, perMs: 60_000, burst: 1 },
        },
        async ({ take }) => {
          const first = await take("ann", sixteen);
          const replies = await Promise.all(
            Array.from({ length: 50 }, async () => first.further({ ...usual, ...sixteen })),
          );
          const held = replies.filter((reply) => reply !== "unavailable" && reply.granted);
          expect(held).toHaveLength(11);
        },
      ),
  },
  {
    name: "charges nothing for a request that brings no call, and sets nothing aside for it",
    run: (create) =>
      withBudgets(create, { globalBudget: { tokens: 1000 } }, async ({ admitted, tokensLeft }) => {
        for (let i = 0; i < 3; i += 1) {
          expect((await admitted("ann")).reservation).toBeUndefined();
        }
        expect(await tokensLeft("ann")).toBe(1000);
      }),
  },
];
