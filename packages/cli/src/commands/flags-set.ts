import { assertFeatureName } from "@sluice/contract";
import { Command } from "commander";
import { changeFlag } from "../change-flag.ts";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { printFlags } from "../flag-table.ts";
import { parseBoolean, parsePercent, parseText } from "../parse-value.ts";

interface Options {
  readonly enabled?: boolean;
  readonly percent?: number;
  readonly reason?: string;
  readonly yes?: boolean;
  readonly create?: boolean;
}

export function flagsSetCommand(context: CliContext): Command {
  return new Command("set")
    .description("enable or disable a feature, set its percentage; asks before it widens")
    .argument("<feature>", "the feature", parseText)
    .option("--enabled <true|false>", "whether it is enabled", parseBoolean)
    .option("--percent <n>", "of the subjects, 0 to 100", parsePercent)
    .option("--reason <text>", "for the audit", parseText)
    .option("--yes", "agree to widen without being asked")
    .option("--create", "make the feature where it is unknown")
    .addHelpText(
      "after",
      "\nExample:\n  sluice flags set slotgen_ai --enabled true --percent 5 --yes\n",
    )
    .action(async (feature: string, options: Options) => {
      const { enabled, percent } = options;
      if (enabled === undefined && percent === undefined) {
        throw new CliFailure(exitCodes.usage, "nothing to set: give --enabled or --percent");
      }
      if (options.create === true) assertFeatureName("feature", feature);
      await context.withSession(async (session) => {
        const flag = await changeFlag(context, session, {
          feature,
          patch: {
            ...(enabled !== undefined && { enabled }),
            ...(percent !== undefined && { percent }),
          },
          reason: options.reason,
          yes: options.yes === true,
          create: options.create === true,
        });
        context.show(flag, () => printFlags([flag]));
      });
    });
}
