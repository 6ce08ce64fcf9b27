import { oneLine } from "@sluice/contract";
import { sqlNames, type SqlDatabase, type SqlNameOptions } from "@sluice/sql";
import type { CliContext } from "./cli-context.ts";
import { CliFailure } from "./cli-failure.ts";
import { createProgram, type GlobalOptions } from "./program.ts";
import { describeFailure } from "./describe-failure.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { readAnswer } from "./read-answer.ts";
import { urlSecrets } from "./url-secrets.ts";

export interface RunOptions {
  /** What was typed after the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the answer to a question is read from. */
  readonly stdin?: AsyncIterable<string | Uint8Array>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether a person can be asked. */
  readonly isTty: boolean;
  readonly open: (options: OpenOptions) => SqlDatabase;
}

export interface OpenOptions {
  readonly connectionString: string;
  readonly statementTimeoutMs: number;
}

/** For whoever waits at the terminal, perhaps with a kill; migrations have their own. */
const statementTimeoutMs = 10_000;

/** Runs one command line. Never rejects: what fails is one line on `err` and the exit code. */
export async function run(options: RunOptions): Promise<ExitCode> {
  const { argv, env, err } = options;
  let input: AsyncIterator<string | Uint8Array> | undefined;
  let globals: GlobalOptions = {};
  const ask = async (question: string): Promise<string | undefined> => {
    if (!options.isTty || options.stdin === undefined) return undefined;
    input ??= options.stdin[Symbol.asyncIterator]();
    err(question);
    return readAnswer(input);
  };
  const program = createProgram(
    createContext(options, () => globals, ask),
    {
      out: options.out,
      err,
      onGlobals: (found) => {
        globals = found;
      },
    },
  );
  try {
    await program.parseAsync(argv, { from: "user" });
    return exitCodes.done;
  } catch (error) {
    const secrets = [...urlSecrets(globals.databaseUrl), ...urlSecrets(env["DATABASE_URL"])];
    const { exitCode, line } = describeFailure(error, secrets);
    if (line !== undefined) err(`sluice: ${line}\n`);
    return exitCode;
  } finally {
    await input?.return?.();
  }
}

function createContext(
  options: RunOptions,
  globals: () => GlobalOptions,
  /** Undefined where nobody can be asked. */
  ask: (question: string) => Promise<string | undefined>,
): CliContext {
  const { env, out, open } = options;
  return {
    async withSession(work, timeoutMs = statementTimeoutMs) {
      const connectionString = globals().databaseUrl ?? env["DATABASE_URL"] ?? "";
      if (connectionString === "") {
        throw new CliFailure(exitCodes.usage, "no database: give --database-url or DATABASE_URL");
      }
      if (!/^postgres(?:ql)?:\/\//.test(connectionString) || URL.parse(connectionString) === null) {
        throw new CliFailure(
          exitCodes.usage,
          "the database URL (not shown) is none: expected postgresql://user:password@host:port/name",
        );
      }
      const nameOptions = nameOptionsOf(globals(), env);
      const names = sqlNames(nameOptions);
      const db = open({ connectionString, statementTimeoutMs: timeoutMs });
      try {
        return await work({ db, names, nameOptions });
      } finally {
        // What failed before matters, and it is said already.
        await db.close().catch(() => undefined);
      }
    },
    show(value, text) {
      out(globals().json === true ? `${JSON.stringify(value, null, 2)}\n` : text());
    },
    async confirm(feature, widenings) {
      const what = `this widens ${oneLine(feature)} (${widenings.join("; ")})`;
      const answer = await ask(`${what}. Go on? [y/N] `);
      if (answer === undefined) {
        throw new CliFailure(exitCodes.notConfirmed, `${what}; say so with --yes`);
      }
      if (!/^y(?:es)?$/i.test(answer)) {
        throw new CliFailure(exitCodes.notConfirmed, "not confirmed, nothing was changed");
      }
    },
  };
}

function nameOptionsOf(globals: GlobalOptions, env: RunOptions["env"]): SqlNameOptions {
  const schema = globals.schema ?? (env["SLUICE_SCHEMA"] || undefined);
  const prefix = globals.prefix ?? (env["SLUICE_PREFIX"] || undefined);
  const flagTable = globals.flagTable ?? (env["SLUICE_FLAG_TABLE"] || undefined);
  return {
    ...(schema !== undefined && { schema }),
    ...(prefix !== undefined && { prefix }),
    ...(flagTable !== undefined && { flagTable }),
  };
}
