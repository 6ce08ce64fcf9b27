import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { shadowReportCommand } from "./shadow-report.ts";

export function shadowCommand(context: CliContext): Command {
  return new Command("shadow")
    .description("what a gateway saw while the legacy handler answered")
    .addCommand(shadowReportCommand(context));
}
