import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { featureArgument, reasonOption, yesOption } from "../flag-options.ts";
import { printFlags } from "../flag-table.ts";
import { setFlag } from "../set-flag.ts";

export function restoreCommand(context: CliContext): Command {
  return new Command("restore")
    .description("take back a kill; the feature is again what its other columns say")
    .addArgument(featureArgument())
    .addOption(reasonOption())
    .addOption(yesOption())
    .addHelpText("after", "\nExample:\n  sluice restore slotgen_ai --yes\n")
    .action((feature: string, options: { reason?: string; yes?: boolean }) =>
      context.withSession(async (session) => {
        const flag = await setFlag(context, session, {
          feature,
          patch: { killed: false },
          reason: options.reason,
          yes: options.yes === true,
        });
        context.show(flag, () => printFlags([flag]));
      }),
    );
}
