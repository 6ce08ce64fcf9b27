import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { flagsAllowCommand } from "./flags-allow.ts";
import { flagsGetCommand } from "./flags-get.ts";
import { flagsListCommand } from "./flags-list.ts";
import { flagsSaltCommand } from "./flags-salt.ts";
import { flagsSetCommand } from "./flags-set.ts";

export function flagsCommand(context: CliContext): Command {
  return new Command("flags")
    .description("read and change features")
    .addCommand(flagsListCommand(context))
    .addCommand(flagsGetCommand(context))
    .addCommand(flagsSetCommand(context))
    .addCommand(flagsAllowCommand(context))
    .addCommand(flagsSaltCommand(context));
}
