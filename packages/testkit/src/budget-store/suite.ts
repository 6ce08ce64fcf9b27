import { describeChecks, type Check } from "../conformance.ts";
import type { CreateBudgetStore } from "./bench.ts";
import { endingChecks } from "./ending-checks.ts";
import { grantChecks } from "./grant-checks.ts";
import { runChecks } from "./run-checks.ts";
import { traceChecks } from "./trace-checks.ts";

export const budgetStoreChecks: readonly Check<CreateBudgetStore>[] = [
  ...grantChecks,
  ...endingChecks,
  ...runChecks,
  ...traceChecks,
];

/** What every budget store does, whatever it keeps its accounts in. */
export function describeBudgetStore(name: string, create: CreateBudgetStore): void {
  describeChecks(`${name} as a budget store`, budgetStoreChecks, create);
}
