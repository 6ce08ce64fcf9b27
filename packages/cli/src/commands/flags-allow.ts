import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { featureArgument, reasonOption, toPatch, yesOption } from "../flag-options.ts";
import { printFlags } from "../flag-table.ts";
import { parseIds } from "../parse-value.ts";
import { setFlag } from "../set-flag.ts";

interface Options {
  readonly clear?: boolean;
  readonly nobody?: boolean;
  readonly reason?: string;
  readonly yes?: boolean;
}

export function flagsAllowCommand(context: CliContext): Command {
  return new Command("allow")
    .description("set the allowlist to these subjects; asks before a list grows or goes")
    .addArgument(featureArgument())
    .argument("[ids...]", "the whole list", parseIds)
    .option("--clear", "have no list")
    .option("--nobody", "have an empty list: nobody is on it")
    .addOption(reasonOption())
    .addOption(yesOption())
    .addHelpText("after", "\nExample:\n  sluice flags allow slotgen_ai user-1 user-2 --yes\n")
    .action(async (feature: string, ids: readonly string[] = [], options: Options) => {
      const given = [ids.length > 0, options.clear === true, options.nobody === true];
      if (given.filter(Boolean).length !== 1) {
        throw new CliFailure(exitCodes.usage, "give either ids, --clear or --nobody");
      }
      await context.withSession(async (session) => {
        const flag = await setFlag(context, session, {
          feature,
          patch: toPatch({ allowlist: options.clear === true ? false : ids }),
          reason: options.reason,
          yes: options.yes === true,
        });
        context.show(flag, () => printFlags([flag]));
      });
    });
}
