import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { providersListCommand } from "./providers-list.ts";
import { providersSetCommand } from "./providers-set.ts";

export function providersCommand(context: CliContext): Command {
  return new Command("providers")
    .description("read and change which providers the guards may call")
    .addCommand(providersListCommand(context))
    .addCommand(providersSetCommand(context));
}
