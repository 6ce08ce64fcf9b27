import { auditAnchor } from "@sluice/sql";
import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";

export function auditAnchorCommand(context: CliContext): Command {
  return new Command("anchor")
    .description(
      "where the audit ends now, as id:hash; kept elsewhere, it shows later what was removed",
    )
    .addHelpText("after", "\nExample:\n  sluice audit anchor > anchor.txt\n")
    .action(() =>
      context.withSession(async ({ db, nameOptions }) => {
        const anchor = await auditAnchor(db, { names: nameOptions });
        context.show(anchor, () => `${anchor.id}:${anchor.hash}\n`);
      }),
    );
}
