import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { auditAnchorCommand } from "./audit-anchor.ts";
import { auditTailCommand } from "./audit-tail.ts";
import { auditVerifyCommand } from "./audit-verify.ts";

export function auditCommand(context: CliContext): Command {
  return new Command("audit")
    .description("who changed what, and whether the record is whole")
    .addCommand(auditTailCommand(context))
    .addCommand(auditVerifyCommand(context))
    .addCommand(auditAnchorCommand(context));
}
