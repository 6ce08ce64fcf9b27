import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { readFlags } from "../flag-row.ts";
import { printFlags } from "../flag-table.ts";

export function flagsListCommand(context: CliContext): Command {
  return new Command("list")
    .description("all features")
    .addHelpText("after", "\nExample:\n  sluice flags list --prefix p3_\n")
    .action(() =>
      context.withSession(async ({ db, names }) => {
        const flags = await readFlags(db.query, names);
        context.show(flags, () => printFlags(flags));
      }),
    );
}
