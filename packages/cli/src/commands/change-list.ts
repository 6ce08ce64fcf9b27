import { Command } from "commander";
import { printChanges, readChanges } from "../change-row.ts";
import type { CliContext } from "../cli-context.ts";
import { parseText } from "../parse-value.ts";

export function changeListCommand(context: CliContext): Command {
  return new Command("list")
    .description("open changes, the newest first")
    .option("--feature <feature>", "of this feature only", parseText)
    .option("--all", "the last 100, in whatever state")
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
