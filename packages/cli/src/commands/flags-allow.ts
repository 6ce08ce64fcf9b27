import { Command } from "commander";
import { changeFlag } from "../change-flag.ts";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { printFlags } from "../flag-table.ts";
import { parseIds, parseText } from "../parse-value.ts";

interface Options {
  readonly clear?: boolean;
  readonly reason?: string;
  readonly yes?: boolean;
}

export function flagsAllowCommand(context: CliContext): Command {
  return new Command("allow")
    .description("set the allowlist to these subjects; asks before a list grows or goes")
    .argument("<feature>", "the feature", parseText)
    .argument("[ids...]", "the whole list", parseIds)
    .option("--clear", "have no list")
    .option("--reason <text>", "for the audit", parseText)
    .option("--yes", "agree to widen without being asked")
    .addHelpText("after", "\nExample:\n  sluice flags allow slotgen_ai user-1 user-2 --yes\n")
    .action(async (feature: string, ids: readonly string[] | undefined, options: Options) => {
      const listed = [...new Set(ids)];
      if ((options.clear === true) === listed.length > 0) {
        throw new CliFailure(exitCodes.usage, "give either ids or --clear");
      }
      await context.withSession(async (session) => {
        const flag = await changeFlag(context, session, {
          feature,
          patch: { allowlist: options.clear === true ? null : listed },
          reason: options.reason,
          yes: options.yes === true,
        });
        context.show(flag, () => printFlags([flag]));
      });
    });
}
