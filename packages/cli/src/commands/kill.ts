import { Command } from "commander";
import { beginChange } from "../change-agreed.ts";
import { changeFlag } from "../change-flag.ts";
import type { CliContext, Session } from "../cli-context.ts";
import { awaitFleet, defaultWaitMs, fleetLine } from "../await-fleet.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { featureArgument, reasonOption } from "../flag-options.ts";
import { findFlag, noSuchFeature, type FlagRow } from "../flag-row.ts";
import { printFlags } from "../flag-table.ts";
import { nameBlockers } from "../name-blockers.ts";
import { integerIn } from "../parse-value.ts";

interface KillOptions {
  readonly reason?: string;
  readonly waitMs: number;
}

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
    .action((feature: string, options: KillOptions) =>
      context.withSession(async (session) => {
        const flag = await nameBlockers(
          context,
          session,
          { what: { feature }, undone: "not killed", again: "kill again" },
          (watched) => shut(context, watched, feature, options.reason),
        );
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

async function shut(
  context: CliContext,
  session: Session,
  feature: string,
  reason: string | undefined,
): Promise<FlagRow> {
  const stored = await session.db.transaction(async (query) => {
    await beginChange(query, undefined);
    return findFlag(query, session.names, feature);
  });
  if (stored === undefined) throw noSuchFeature(feature);
  return changeFlag(context, session, {
    feature,
    // A flag table of the product's own may know no kill; closed is closed.
    patch: stored.columns.has("killed") ? { killed: true } : { enabled: false, percent: 0 },
    reason,
    yes: false,
  });
}
