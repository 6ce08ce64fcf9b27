import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { changeApplyCommand } from "./change-apply.ts";
import { changeListCommand } from "./change-list.ts";
import { changeRequestCommand } from "./change-request.ts";
import { approveCommand, rejectCommand } from "./change-verdict.ts";

export function changeCommand(context: CliContext): Command {
  return new Command("change")
    .description("changes that widen a protected feature: one role asks, another approves")
    .addCommand(changeRequestCommand(context))
    .addCommand(approveCommand(context))
    .addCommand(rejectCommand(context))
    .addCommand(changeApplyCommand(context))
    .addCommand(changeListCommand(context));
}
