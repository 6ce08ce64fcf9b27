import { Command } from "commander";
import { beginChange } from "../change-flag.ts";
import { printChanges, readChanges } from "../change-row.ts";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { findFlag, noSuchFeature } from "../flag-row.ts";
import { parseBoolean, parseCount, parsePercent, parseText } from "../parse-value.ts";

interface Options {
  readonly enabled?: boolean;
  readonly percent?: number;
  readonly killed?: boolean;
  readonly reason: string;
  readonly minutes: number;
}

export function changeRequestCommand(context: CliContext): Command {
  return new Command("request")
    .description("ask to widen a feature from its row as it is now; what is not named stays")
    .argument("<feature>", "the feature", parseText)
    .option("--enabled <true|false>", "the target", parseBoolean)
    .option("--percent <n>", "the target, 0 to 100", parsePercent)
    .option("--killed <true|false>", "the target", parseBoolean)
    .requiredOption("--reason <text>", "for who approves, and the audit", parseText)
    .option("--minutes <n>", "for how long it can be applied", parseCount, 60)
    .addHelpText(
      "after",
      '\nExample:\n  sluice change request slotgen_ai --percent 50 --reason "evals are green"\n',
    )
    .action(async (feature: string, options: Options) => {
      const { enabled, percent, killed, reason, minutes } = options;
      if (enabled === undefined && percent === undefined && killed === undefined) {
        throw new CliFailure(
          exitCodes.usage,
          "nothing to change: give --enabled, --percent or --killed",
        );
      }
      await context.withSession(async ({ db, names }) => {
        const change = await db.transaction(async (query) => {
          await beginChange(query, reason);
          const stored = await findFlag(query, names, feature, true);
          if (stored === undefined) throw noSuchFeature(feature);
          const { flag } = stored;
          const { rows } = await query<{ id: number }>(
            `SELECT ${names.table("request_flag_change")}($1, $2, $3, $4, $5, make_interval(mins => $6::integer)) AS id`,
            [
              feature,
              enabled ?? flag.enabled,
              percent ?? flag.percent,
              killed ?? flag.killed,
              reason,
              minutes,
            ],
          );
          return (await readChanges(query, names, { id: Number(rows[0]?.id), open: false }))[0];
        });
        if (change === undefined) throw new Error("the change that was made can't be read");
        context.show(change, () => printChanges([change]));
      });
    });
}
