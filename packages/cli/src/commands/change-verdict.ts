import { Command } from "commander";
import { beginChange } from "../change-flag.ts";
import { applyingSql, printChanges, readChanges } from "../change-row.ts";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { parseCount } from "../parse-value.ts";

export function approveCommand(context: CliContext): Command {
  return verdictCommand(context, "approve")
    .description("approve a change that another role asked for; it applies with the next update")
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
        const [before] = await readChanges(query, names, { id, open: false });
        if (before === undefined) {
          throw new CliFailure(exitCodes.notFound, `no such change: ${String(id)}`);
        }
        await query(`SELECT ${names.table(`${verdict}_flag_change`)}($1)`, [id]);
        return (await readChanges(query, names, { id, open: false }))[0] ?? before;
      });
      const sql = verdict === "approve" ? applyingSql(change, names) : undefined;
      context.show({ ...change, ...(sql !== undefined && { sql }) }, () =>
        sql === undefined
          ? printChanges([change])
          : `${printChanges([change])}to apply it: ${sql}\n`,
      );
    }),
  );
}
