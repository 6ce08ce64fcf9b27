import { Command } from "commander";
import { patchOf, readChange, stateOfChange } from "../change-row.ts";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { yesOption } from "../flag-options.ts";
import { findFlag, noSuchFeature } from "../flag-row.ts";
import { printFlags } from "../flag-table.ts";
import { parseCount } from "../parse-value.ts";
import { setFlag } from "../set-flag.ts";

export function changeApplyCommand(context: CliContext): Command {
  return new Command("apply")
    .description("set the feature to what an approved change names; asks first")
    .argument("<id>", "the change", parseCount)
    .addOption(yesOption())
    .addHelpText("after", "\nExample:\n  sluice change apply 12 --yes\n")
    .action((id: number, options: { yes?: boolean }) =>
      context.withSession(async (session) => {
        const change = await readChange(session.db.query, session.names, id);
        const state = stateOfChange(change);
        if (state !== "approved") {
          throw new CliFailure(exitCodes.refused, `change ${String(id)} is ${state}, not approved`);
        }
        const stored = await findFlag(session.db.query, session.names, change.feature);
        if (stored === undefined) throw noSuchFeature(change.feature);
        // The database would take the update without holding it to the change.
        if (!stored.flag.protected) {
          throw new CliFailure(
            exitCodes.refused,
            `feature ${change.feature} is not protected, so no change applies to it; use sluice flags`,
          );
        }
        const flag = await setFlag(context, session, {
          feature: change.feature,
          patch: patchOf(change),
          reason: change.reason,
          yes: options.yes === true,
        });
        context.show(flag, () => printFlags([flag]));
      }),
    );
}
