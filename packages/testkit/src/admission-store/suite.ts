import { describeChecks, type Check } from "../conformance.ts";
import { apartChecks } from "./apart-checks.ts";
import type { CreateAdmissionStore } from "./bench.ts";
import { budgetApartChecks } from "./budget-apart-checks.ts";
import { budgetDayChecks } from "./budget-day-checks.ts";
import { budgetEndingChecks } from "./budget-ending-checks.ts";
import { budgetGrantChecks } from "./budget-grant-checks.ts";
import { budgetModeChecks } from "./budget-mode-checks.ts";
import { budgetShareChecks } from "./budget-share-checks.ts";
import { budgetStateChecks } from "./budget-state-checks.ts";
import { budgetTraceChecks } from "./budget-trace-checks.ts";
import { leaseChecks } from "./lease-checks.ts";
import { modeChecks } from "./mode-checks.ts";
import { placeChecks } from "./place-checks.ts";
import { rateChecks } from "./rate-checks.ts";
import { refusalChecks } from "./refusal-checks.ts";
import { toolRateChecks } from "./tool-rate-checks.ts";
import { traceChecks } from "./trace-checks.ts";

export const admissionStoreChecks: readonly Check<CreateAdmissionStore>[] = [
  ...placeChecks,
  ...leaseChecks,
  ...rateChecks,
  ...refusalChecks,
  ...modeChecks,
  ...toolRateChecks,
  ...apartChecks,
  ...traceChecks,
];

/** Of a store that holds budgets. */
export const admissionBudgetChecks: readonly Check<CreateAdmissionStore>[] = [
  ...budgetGrantChecks,
  ...budgetShareChecks,
  ...budgetEndingChecks,
  ...budgetDayChecks,
  ...budgetModeChecks,
  ...budgetStateChecks,
  ...budgetApartChecks,
  ...budgetTraceChecks,
];

/** What every admission store does, whatever it keeps its counts in. */
export function describeAdmissionStore(name: string, create: CreateAdmissionStore): void {
  describeChecks(`${name} as an admission store`, admissionStoreChecks, create);
  describeChecks(`${name} as a store of budgets`, admissionBudgetChecks, create);
}
