import { migrate } from "@sluice/sql";
import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";

/** A migration may index a large table of the product's own. */
const statementTimeoutMs = 600_000;

export function migrateCommand(context: CliContext): Command {
  return new Command("migrate")
    .description("create or update our tables; may run any number of times, and at the same time")
    .addHelpText("after", "\nExample:\n  sluice migrate --schema app --prefix p3_\n")
    .action(() =>
      context.withSession(
        async ({ db, nameOptions }) => {
          const { applied } = await migrate(db, { names: nameOptions });
          context.show({ applied }, () =>
            applied.length === 0
              ? "up to date\n"
              : `${applied.map((name) => `applied ${name}`).join("\n")}\n`,
          );
        },
        statementTimeoutMs,
        true,
      ),
    );
}
