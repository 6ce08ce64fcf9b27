import { Command } from "commander";
import { beginChange } from "../change-agreed.ts";
import { readChange } from "../change-row.ts";
import { printChanges } from "../change-table.ts";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import {
  allowlistOption,
  enabledOption,
  featureArgument,
  killedOption,
  noAllowlistOption,
  percentOption,
  protectedOption,
  reasonOption,
  saltOption,
  toPatch,
  type FlagTargets,
} from "../flag-options.ts";
import { findFlag, noSuchFeature } from "../flag-row.ts";
import { integerIn } from "../parse-value.ts";

/** The database takes at most 30 days. */
const maxMinutes = 30 * 24 * 60;

interface Options extends FlagTargets {
  readonly reason: string;
  readonly minutes: number;
}

export function changeRequestCommand(context: CliContext): Command {
  return new Command("request")
    .description("ask to widen a feature from its row as it is now; what is not named stays")
    .addArgument(featureArgument())
    .addOption(enabledOption())
    .addOption(percentOption())
    .addOption(killedOption())
    .addOption(allowlistOption())
    .addOption(noAllowlistOption())
    .addOption(saltOption())
    .addOption(protectedOption())
    .addOption(reasonOption().makeOptionMandatory())
    .option("--minutes <n>", "for how long it can be applied", integerIn(1, maxMinutes), 60)
    .addHelpText(
      "after",
      '\nExamples:\n  sluice change request slotgen_ai --percent 50 --reason "evals are green"\n  sluice change request slotgen_ai --allowlist user-1 user-2 --reason "two more testers"\n',
    )
    .action(async (feature: string, options: Options) => {
      const { reason, minutes, ...targets } = options;
      const { enabled, percent, killed, ...others } = toPatch(targets);
      if (Object.keys(toPatch(targets)).length === 0) {
        throw new CliFailure(
          exitCodes.usage,
          "nothing to change: give --enabled, --percent, --killed, --allowlist, --no-allowlist, --salt or --protected",
        );
      }
      await context.withSession(async ({ db, names }) => {
        const change = await db.transaction(async (query) => {
          await beginChange(query, reason);
          const stored = await findFlag(query, names, feature, true);
          if (stored === undefined) throw noSuchFeature(feature);
          const { flag } = stored;
          const { rows } = await query<{ id: number }>(
            `SELECT ${names.table("request_flag_change")}($1, $2, $3, $4, $5, make_interval(mins => $6::integer), $7::jsonb) AS id`,
            [
              feature,
              enabled ?? flag.enabled,
              percent ?? flag.percent,
              killed ?? flag.killed,
              reason,
              minutes,
              JSON.stringify(others),
            ],
          );
          return readChange(query, names, Number(rows[0]?.id));
        });
        context.show(change, () => printChanges([change]));
      });
    });
}
