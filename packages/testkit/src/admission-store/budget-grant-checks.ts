import { Reason } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import type { CreateAdmissionStore } from "./bench.ts";
import { costOf, price, usual, usualTokens, withBudgets } from "./budget-bench.ts";

const hourMs = 3_600_000;

export const budgetGrantChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "sets the worst case of a call aside: its prompt, the whole output, and what they cost",
    run: (create) =>
      withBudgets(create, { globalBudget: { tokens: 5000 } }, async ({ take, tokensLeft }) => {
        const { inputTokens, outputTokens, costNanoUsd } = await take("ann");
        expect({ inputTokens, outputTokens, costNanoUsd }).toEqual({
          inputTokens: usual.inputTokens,
          outputTokens: usual.outputTokens,
          costNanoUsd: costOf(usual),
        });
        expect(await tokensLeft("ben")).toBe(5000 - usualTokens);
      }),
  },
  {
    name: "I3 lowers the output to the tokens that are left, but never under the least that is useful",
    async run(create) {
      await withBudgets(
        create,
        { globalBudget: { tokens: usualTokens + 299 } },
        async ({ take, refused, tokensLeft }) => {
          await take("ann");
          expect(await take("ann", { minOutputTokens: 199 })).toMatchObject({
            inputTokens: 100,
            outputTokens: 199,
            costNanoUsd: costOf({ inputTokens: 100, outputTokens: 199 }),
          });
          expect(await tokensLeft("ann")).toBe(0);
          await refused("ann", { inputTokens: 0, minOutputTokens: 1 });
        },
      );
      await withBudgets(create, { globalBudget: { tokens: 149 } }, async ({ take, refused }) => {
        expect((await refused("ann")).reason).toBe(Reason.BUDGET_TOKENS);
        expect((await take("ann", { minOutputTokens: 49 })).outputTokens).toBe(49);
      });
    },
  },
  {
    name: "I3 lowers the output to what money is left for, but never under the least that is useful",
    async run(create) {
      const little = { inputTokens: 100, outputTokens: 150 };
      const costNanoUsd = costOf(usual) + costOf(little) + price.outputNanoUsdPerToken - 1;
      await withBudgets(create, { globalBudget: { costNanoUsd } }, async ({ take, refused }) => {
        await take("ann");
        expect(await take("ann")).toMatchObject({
          outputTokens: 150,
          costNanoUsd: costOf(little),
        });
        const { reason } = await refused("ann", { inputTokens: 0, minOutputTokens: 1 });
        expect(reason).toBe(Reason.BUDGET_COST);
      });
      const least = costOf({ ...usual, outputTokens: usual.minOutputTokens });
      await withBudgets(create, { globalBudget: { costNanoUsd: least - 1 } }, async (bench) => {
        await bench.refused("ann");
      });
      await withBudgets(create, { globalBudget: { costNanoUsd: least } }, async (bench) => {
        expect((await bench.take("ann")).outputTokens).toBe(usual.minOutputTokens);
      });
    },
  },
  {
    name: "refuses by each cap of each budget with its reason, the budget's name, and the time until the day's end",
    async run(create) {
      const caps = [
        [Reason.BUDGET_CALLS, { calls: 1 }],
        [Reason.BUDGET_TOKENS, { tokens: usualTokens }],
        [Reason.BUDGET_COST, { costNanoUsd: costOf(usual) }],
      ] as const;
      for (const [reason, cap] of caps) {
        for (const [option, dimension] of [
          ["userBudget", "user_budget"],
          ["globalBudget", "global_budget"],
        ] as const) {
          await withBudgets(create, { [option]: cap }, async ({ clock, take, refused }) => {
            clock.stepWall(22 * hourMs);
            await take("ann");
            expect(await refused("ann"), reason).toMatchObject({
              reason,
              retryAfterMs: 2 * hourMs,
              violated: [dimension],
              wouldRefuse: [],
            });
          });
        }
      }
    },
  },
  {
    name: "refuses under a cap on money what has no known price",
    async run(create) {
      const unpriced = { price: undefined };
      await withBudgets(create, { globalBudget: { costNanoUsd: 1e12 } }, async ({ refused }) => {
        expect((await refused("ann", unpriced)).reason).toBe(Reason.BUDGET_COST);
      });
      await withBudgets(create, { globalBudget: { tokens: 1000 } }, async ({ take }) => {
        expect(await take("ann", unpriced)).toMatchObject({ outputTokens: 800, costNanoUsd: 0 });
      });
    },
  },
  {
    name: "counts one subject's budget apart from another's, and the budget of all for everybody",
    run: (create) =>
      withBudgets(
        create,
        { userBudget: { calls: 2 }, globalBudget: { calls: 3 } },
        async ({ take, refused }) => {
          await take("ann");
          await take("ann");
          expect((await refused("ann")).violated).toEqual(["user_budget"]);
          await take("ben");
          expect((await refused("ben")).violated).toEqual(["global_budget"]);
          expect((await refused("ann")).violated).toEqual(["user_budget", "global_budget"]);
        },
      ),
  },
  {
    name: "grants the least that any budget has left, and charges no more than that to each",
    async run(create) {
      await withBudgets(
        create,
        { userBudget: { tokens: 1000 }, globalBudget: { tokens: 1500 } },
        async ({ take, tokensLeft }) => {
          await take("ann");
          expect(await take("ben")).toMatchObject({ outputTokens: 500 });
          expect(await tokensLeft("ann")).toBe(0);
        },
      );
      await withBudgets(
        create,
        { userBudget: { tokens: 300 }, globalBudget: { tokens: 2000 } },
        async ({ take, tokensLeft }) => {
          expect((await take("ann")).outputTokens).toBe(200);
          // A subject's 300, of the 1700 that are left of all.
          expect(await tokensLeft("ben")).toBe(300);
          for (const subject of ["ben", "cat", "dan", "eve", "fay"]) await take(subject);
          expect(await tokensLeft("gus")).toBe(200);
        },
      );
    },
  },
];
