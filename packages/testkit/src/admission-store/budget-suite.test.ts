import { describePlantedFaults } from "../describe-planted-faults.ts";
import { budgetTraceChecks } from "./budget-trace-checks.ts";
import { budgetFaults, type BudgetFault } from "./planted-budget-faults.ts";
import { plantedBudgetStore } from "./planted-budget-store.ts";
import { admissionBudgetChecks } from "./suite.ts";

const traces = new Set(budgetTraceChecks);

describePlantedFaults({
  name: "the suite of admission stores that have budgets",
  checks: admissionBudgetChecks.filter((check) => !traces.has(check)),
  faults: budgetFaults,
  planted: plantedBudgetStore,
});

/** A trace that fails is made shorter again and again, which takes long: one fault of each kind. */
const seenByTraces: readonly BudgetFault[] = [
  "charges what was asked for",
  "void keeps the call",
  "settles on the day of the settlement",
  "shadow charges what it would have refused",
];

describePlantedFaults({
  name: "the traces of the suite of admission stores that have budgets",
  checks: budgetTraceChecks,
  faults: seenByTraces,
  planted: plantedBudgetStore,
});
