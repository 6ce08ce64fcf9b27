import { oneLine } from "@sluice/contract";
import { sqlNames, type SqlDatabase, type SqlNameOptions } from "@sluice/sql";
import type { CliContext } from "./cli-context.ts";
import { CliFailure } from "./cli-failure.ts";
import { createProgram, type GlobalOptions } from "./program.ts";
import { describeFailure } from "./describe-failure.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { openDatabase, type OpenOptions } from "./open-database.ts";
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
  /** A database of PostgreSQL's, or the socket of a running app's embedded one. */
  readonly open: (options: OpenOptions) => SqlDatabase;
}

/** For whoever waits at the terminal, perhaps with a kill; migrations have their own. */
const statementTimeoutMs = 10_000;

/** Runs one command line. Never rejects: what fails is one line on `err` and the exit code. */
export async function run(options: RunOptions): Promise<ExitCode> {
  const { argv, env, err } = options;
  let input: AsyncIterator<string | Uint8Array> | undefined;
  let globals: GlobalOptions = {};
  const secrets: string[] = [];
  const ask = async (question: string): Promise<string | undefined> => {
    if (!options.isTty || options.stdin === undefined) return undefined;
    input ??= options.stdin[Symbol.asyncIterator]();
    err(question);
    return readAnswer(input);
  };
  const program = createProgram(
    createContext(options, () => globals, secrets, ask),
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
    const named = [globals.databaseUrl, env["DATABASE_URL"]].flatMap(urlSecrets);
    const { exitCode, line } = describeFailure(error, [...secrets, ...named]);
    if (line !== undefined) err(`sluice: ${line}\n`);
    return exitCode;
  } finally {
    await input?.return?.();
  }
}

function createContext(
  options: RunOptions,
  globals: () => GlobalOptions,
  secrets: string[],
  /** Undefined where nobody can be asked. */
  ask: (question: string) => Promise<string | undefined>,
): CliContext {
  const { env, out, open } = options;
  return {
    env,
    async withSession(work, timeoutMs = statementTimeoutMs, mayCreate = false) {
      const nameOptions = nameOptionsOf(globals(), env);
      const names = sqlNames(nameOptions);
      const db = openDatabase({
        globals: globals(),
        env,
        statementTimeoutMs: timeoutMs,
        mayCreate,
        open,
        onSecrets: (found) => void secrets.push(...found),
      });
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
    say(text) {
      if (globals().json !== true) out(text);
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
