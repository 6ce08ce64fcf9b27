import { oneLine } from "@sluice/contract";
import { Command } from "commander";
import type { CliContext } from "./cli-context.ts";
import { auditCommand } from "./commands/audit.ts";
import { bucketCommand } from "./commands/bucket.ts";
import { budgetCommand } from "./commands/budget.ts";
import { changeCommand } from "./commands/change.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { flagsCommand } from "./commands/flags.ts";
import { killCommand } from "./commands/kill.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { providersCommand } from "./commands/providers.ts";
import { restoreCommand } from "./commands/restore.ts";
import { shadowCommand } from "./commands/shadow.ts";
import { verifyCommand } from "./commands/verify.ts";
import { exitCodeMeanings } from "./exit-codes.ts";
import { packageVersion } from "./package-version.ts";

/** Options that every command takes. */
export interface GlobalOptions {
  readonly databaseUrl?: string;
  readonly folder?: string;
  readonly schema?: string;
  readonly prefix?: string;
  readonly flagTable?: string;
  readonly json?: boolean;
}

export interface ProgramOptions {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Called before a command acts. */
  readonly onGlobals: (options: GlobalOptions) => void;
}

const examples = `
Examples:
  sluice migrate
  sluice kill slotgen_ai --reason "answers in the wrong language"
  sluice flags set slotgen_ai --enabled true --percent 5
  sluice providers set custom --enabled false
  sluice bucket slotgen_ai user-42
  sluice shadow report --feature chat_gateway
  sluice flags list --json

An id that begins with - comes after --.
`;

/** The command line; nothing runs until it parses. */
export function createProgram(context: CliContext, options: ProgramOptions): Command {
  const { out, err, onGlobals } = options;
  const program = new Command("sluice")
    .description("Who may reach a model, and who may no longer: the control plane of Sluice.")
    .option("--database-url <url>", "PostgreSQL (default: DATABASE_URL)")
    .option("--folder <path>", "an embedded database instead (default: SLUICE_FOLDER)")
    .option("--schema <name>", "where our tables stand (default: SLUICE_SCHEMA, or public)")
    .option("--prefix <text>", "before each of their names (default: SLUICE_PREFIX, or none)")
    .option("--flag-table <name>", "the flag table's name (default: SLUICE_FLAG_TABLE)")
    .option("--json", "print JSON")
    .version(packageVersion(), "--version", "print the version of this program")
    .addHelpText("after", `${examples}\nExit codes:\n${exitCodeLines()}`)
    .hook("preAction", (_this, action) => onGlobals(action.optsWithGlobals<GlobalOptions>()));
  for (const command of [
    migrateCommand(context),
    flagsCommand(context),
    killCommand(context),
    restoreCommand(context),
    changeCommand(context),
    providersCommand(context),
    bucketCommand(context),
    budgetCommand(context),
    verifyCommand(context),
    shadowCommand(context),
    auditCommand(context),
    doctorCommand(context),
  ]) {
    program.addCommand(command);
  }
  configure(program, out, err);
  return program;
}

/** Commander's own words to our streams, and its exits as errors, at each depth. */
function configure(
  command: Command,
  out: (text: string) => void,
  err: (text: string) => void,
): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: out,
    writeErr: err,
    outputError: (text, write) =>
      write(
        `sluice: ${oneLine(
          text
            .trim()
            .replace(/^error: /, "")
            .replaceAll(/\s*\n\s*/g, " ")
            // A URL in the wrong place.
            .replaceAll(/:\/\/\S*@/g, "://***@"),
        )}\n`,
      ),
    getOutHasColors: () => false,
    getErrHasColors: () => false,
    getOutHelpWidth: () => 100,
    getErrHelpWidth: () => 100,
  });
  for (const child of command.commands) configure(child, out, err);
}

function exitCodeLines(): string {
  return Object.entries(exitCodeMeanings)
    .map(([code, meaning]) => `  ${code.padStart(2)}  ${meaning}`)
    .join("\n");
}
