import { Command } from "commander";
import { beginChange } from "../change-agreed.ts";
import { readChange } from "../change-row.ts";
import { applyingSql, printChanges } from "../change-table.ts";
import type { CliContext } from "../cli-context.ts";
import { parseCount } from "../parse-value.ts";

export function approveCommand(context: CliContext): Command {
  return verdictCommand(context, "approve")
    .description("approve a change that another role asked for; the next update may apply it")
    .addHelpText("after", "\nExample:\n  sluice change approve 12\n");
}

export function rejectCommand(context: CliContext): Command {
  return verdictCommand(context, "reject")
    .description("reject a change, approved or not")
    .addHelpText("after", "\nExample:\n  sluice change reject 12\n");
}

function verdictCommand(context: CliContext, verdict: "approve" | "reject"): Command {
  return new Command(verdict).argument("<id>", "the change", parseCount).action((id: number) =>
    context.withSession(async ({ db, names }) => {
      const change = await db.transaction(async (query) => {
        await beginChange(query, undefined);
        // Told apart from one that is no longer open.
        await readChange(query, names, id);
        await query(`SELECT ${names.table(`${verdict}_flag_change`)}($1)`, [id]);
        return readChange(query, names, id);
      });
      const sql = verdict === "approve" ? applyingSql(change, names) : undefined;
      context.show({ ...change, ...(sql !== undefined && { sql }) }, () =>
        sql === undefined
          ? printChanges([change])
          : `${printChanges([change])}to apply it: sluice change apply ${String(id)}, or ${sql}\n`,
      );
    }),
  );
}
