import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { featureArgument, reasonOption, yesOption } from "../flag-options.ts";
import { printFlags } from "../flag-table.ts";
import { parseText } from "../parse-value.ts";
import { setFlag } from "../set-flag.ts";

export function flagsSaltCommand(context: CliContext): Command {
  return new Command("salt")
    .description("set the salt, so that the percentage draws other subjects; asks first")
    .addArgument(featureArgument())
    .argument("<salt>", "hashed before the subject; '' hashes the bare id", parseText)
    .addOption(reasonOption())
    .addOption(yesOption())
    .addHelpText("after", "\nExample:\n  sluice flags salt slotgen_ai 2026-q1 --yes\n")
    .action((feature: string, salt: string, options: { reason?: string; yes?: boolean }) =>
      context.withSession(async (session) => {
        const flag = await setFlag(context, session, {
          feature,
          patch: { salt },
          reason: options.reason,
          yes: options.yes === true,
        });
        context.show(flag, () => printFlags([flag]));
      }),
    );
}
