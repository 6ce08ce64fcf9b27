import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { budgetReconcileCommand } from "./budget-reconcile.ts";

export function budgetCommand(context: CliContext): Command {
  return new Command("budget")
    .description("the budgets of a day that a fleet shares in Redis")
    .addCommand(budgetReconcileCommand(context));
}
