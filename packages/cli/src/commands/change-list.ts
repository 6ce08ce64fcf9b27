import { Command } from "commander";
import { readChanges } from "../change-row.ts";
import { printChanges } from "../change-table.ts";
import type { CliContext } from "../cli-context.ts";
import { parseText } from "../parse-value.ts";

export function changeListCommand(context: CliContext): Command {
  return new Command("list")
    .description("open changes, the newest first")
    .option("--feature <feature>", "of this feature only", parseText)
    .option("--all", "the last 100, in whatever state")
    .addHelpText("after", "\nExample:\n  sluice change list --feature slotgen_ai --all\n")
    .action((options: { feature?: string; all?: boolean }) =>
      context.withSession(async ({ db, names }) => {
        const changes = await readChanges(db.query, names, {
          ...(options.feature !== undefined && { feature: options.feature }),
          open: options.all !== true,
        });
        context.show(changes, () => printChanges(changes));
      }),
    );
}
