import { ConfigError } from "@sluice/contract";
import { parseCommandLine } from "./command-line.ts";
import { exitCodes, type ExitCode } from "./exit-codes.ts";
import { helpText } from "./help.ts";
import { runCommand } from "./run-command.ts";
import type { Terminal } from "./terminal.ts";

/** The command. It never throws for what a user or a file did. */
export async function slotgen(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    const command = parseCommandLine(args);
    if (command.kind === "run") return await runCommand(command.options, terminal);
    terminal.print(helpText());
    return exitCodes.finished;
  } catch (error) {
    if (!ConfigError.isInstance(error)) throw error;
    terminal.note(`slotgen: ${error.message}`);
    return exitCodes.usage;
  }
}
