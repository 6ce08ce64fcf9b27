import { describeChecks, type Check } from "../conformance.ts";
import { accountChecks } from "./account-checks.ts";
import type { BudgetHarness } from "./bench.ts";
import { endingChecks } from "./ending-checks.ts";
import { grantChecks } from "./grant-checks.ts";
import { runChecks } from "./run-checks.ts";
import { traceChecks } from "./trace-checks.ts";

/** What holds for every budget, and what for budgets of runs alone where these are some. */
export function budgetChecks({ runs }: BudgetHarness): readonly Check<BudgetHarness>[] {
  const ofRuns = runs === undefined ? [] : runChecks;
  return [
    ...grantChecks,
    ...endingChecks,
    ...accountChecks,
    ...traceChecks,
    ...ofRuns.map((check) => ({
      name: check.name,
      run(harness: BudgetHarness) {
        if (harness.runs === undefined) throw new Error("these are no budgets of runs");
        return check.run(harness.runs);
      },
    })),
  ];
}

/** What every store of budgets does, whatever it keeps its accounts in. */
export function describeBudgetStore(name: string, harness: BudgetHarness): void {
  describeChecks(`${name} as a budget store`, budgetChecks(harness), harness);
}
