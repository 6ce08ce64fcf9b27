import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { parseName } from "../parse-value.ts";
import { printProviders, readProviders } from "../provider-row.ts";

export function providersListCommand(context: CliContext): Command {
  return new Command("list")
    .description("all providers, in the order in which they stand in for each other")
    .option("--environment <name>", "of this environment only", parseName)
    .addHelpText("after", "\nExample:\n  sluice providers list --environment prod\n")
    .action((options: { environment?: string }) =>
      context.withSession(async ({ db, names }) => {
        const providers = await readProviders(db.query, names, options.environment);
        context.show(providers, () => printProviders(providers));
      }),
    );
}
