import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import type { CreateAdmissionStore } from "./bench.ts";
import { callOf, withBudgets } from "./budget-bench.ts";

export const budgetApartChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "counts budgets apart, with the same caps",
    async run(create) {
      for (const options of [{ userBudget: { calls: 1 } }, { globalBudget: { calls: 1 } }]) {
        await withBudgets(create, options, async ({ store, take, refused }) => {
          const apart = store.apart?.();
          if (apart === undefined) throw new Error("the store has no store apart");
          try {
            expect(apart.countsBudgets).toBe(true);
            expect(await apart.acquire("ann", callOf())).toMatchObject({ admitted: true });
            expect(await apart.acquire("ann", callOf())).toMatchObject({ admitted: false });
            await take("ann");
            await refused("ann");
          } finally {
            apart.close();
          }
        });
      }
    },
  },
];
