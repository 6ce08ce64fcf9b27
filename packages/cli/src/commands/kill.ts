import { Command } from "commander";
import { changeFlag } from "../change-flag.ts";
import type { CliContext } from "../cli-context.ts";
import { awaitFleet, defaultWaitMs, fleetLine } from "../await-fleet.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { featureArgument, reasonOption } from "../flag-options.ts";
import { findFlag, noSuchFeature } from "../flag-row.ts";
import { printFlags } from "../flag-table.ts";
import { integerIn } from "../parse-value.ts";

export function killCommand(context: CliContext): Command {
  return new Command("kill")
    .description("shut a feature in the whole fleet, at once; never asks")
    .addArgument(featureArgument())
    .addOption(reasonOption())
    .option(
      "--wait-ms <n>",
      "for how long the processes may take to apply it; 0 does not ask them",
      integerIn(0, 600_000),
      defaultWaitMs,
    )
    .addHelpText("after", '\nExample:\n  sluice kill slotgen_ai --reason "wrong answers"\n')
    .action((feature: string, options: { reason?: string; waitMs: number }) =>
      context.withSession(async (session) => {
        const stored = await findFlag(session.db.query, session.names, feature);
        if (stored === undefined) throw noSuchFeature(feature);
        const flag = await changeFlag(context, session, {
          feature,
          // A flag table of the product's own may know no kill; closed is closed.
          patch: stored.columns.has("killed") ? { killed: true } : { enabled: false, percent: 0 },
          reason: options.reason,
          yes: false,
        });
        const fleet = await awaitFleet(session, flag, options.waitMs);
        context.show({ ...flag, fleet: fleet ?? null }, () =>
          [printFlags([flag]), fleetLine(fleet, flag.version)].filter(Boolean).join("\n"),
        );
        if (fleet !== undefined && fleet.alive > 0 && !fleet.complete) {
          throw new CliFailure(
            exitCodes.checkFailed,
            `the kill is written, but ${fleet.alive - fleet.applied} of ${fleet.alive} processes have not applied it; sluice doctor tells which`,
          );
        }
      }),
    );
}
