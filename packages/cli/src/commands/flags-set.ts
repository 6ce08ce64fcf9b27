import { assertFeatureName } from "@sluice/contract";
import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import {
  enabledOption,
  featureArgument,
  percentOption,
  protectedOption,
  reasonOption,
  toPatch,
  yesOption,
  type FlagTargets,
} from "../flag-options.ts";
import { printFlags } from "../flag-table.ts";
import { setFlag } from "../set-flag.ts";

interface Options extends Pick<FlagTargets, "enabled" | "percent" | "protected"> {
  readonly reason?: string;
  readonly yes?: boolean;
  readonly create?: boolean;
}

export function flagsSetCommand(context: CliContext): Command {
  return new Command("set")
    .description("enable, disable or protect a feature, set its percentage; asks before it widens")
    .addArgument(featureArgument())
    .addOption(enabledOption())
    .addOption(percentOption())
    .addOption(protectedOption())
    .addOption(reasonOption())
    .addOption(yesOption())
    .option("--create", "make the feature where it is unknown")
    .addHelpText(
      "after",
      "\nExample:\n  sluice flags set slotgen_ai --enabled true --percent 5 --yes\n",
    )
    .action(async (feature: string, options: Options) => {
      const { reason, yes, create, ...targets } = options;
      const patch = toPatch(targets);
      if (Object.keys(patch).length === 0) {
        throw new CliFailure(
          exitCodes.usage,
          "nothing to set: give --enabled, --percent or --protected",
        );
      }
      if (create === true) assertFeatureName("feature", feature);
      await context.withSession(async (session) => {
        const flag = await setFlag(context, session, {
          feature,
          patch,
          reason,
          yes: yes === true,
          create: create === true,
        });
        context.show(flag, () => printFlags([flag]));
      });
    });
}
