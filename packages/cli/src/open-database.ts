import { findPglite, pglite, type SqlDatabase } from "@sluice/sql";
import { CliFailure } from "./cli-failure.ts";
import { exitCodes } from "./exit-codes.ts";
import type { GlobalOptions } from "./program.ts";
import { urlSecrets } from "./url-secrets.ts";

export interface OpenOptions {
  readonly connectionString: string;
  readonly statementTimeoutMs: number;
}

export interface OpenDatabaseOptions {
  readonly globals: GlobalOptions;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly statementTimeoutMs: number;
  /** Whether a folder without a database gets one. */
  readonly mayCreate: boolean;
  /** PostgreSQL, or the socket of a running app. */
  readonly open: (options: OpenOptions) => SqlDatabase;
  /** Called with what no line may show, before it is used. */
  readonly onSecrets: (secrets: readonly string[]) => void;
}

/**
 * The database that options and environment name: one of PostgreSQL, or an embedded one in a folder,
 * which is opened here, or reached through the process that has it open.
 * @throws {CliFailure} where they name none or two, and where the folder can't be used.
 */
export function openDatabase(options: OpenDatabaseOptions): SqlDatabase {
  const { statementTimeoutMs, open, onSecrets } = options;
  const { connectionString, folder } = choose(options);
  if (folder === undefined) {
    assertUrl(connectionString);
    return open({ connectionString, statementTimeoutMs });
  }
  const found = findPglite(folder);
  if (found.state === "locked") {
    throw new CliFailure(
      exitCodes.unreachable,
      "the database can't be reached: a process has the folder open, without a socket; let it set the option socket of pglite",
    );
  }
  if (found.state === "served") {
    onSecrets(urlSecrets(found.connectionString));
    return open({ connectionString: found.connectionString, statementTimeoutMs });
  }
  if (found.state === "absent" && !options.mayCreate) {
    throw new CliFailure(
      exitCodes.notFound,
      'no embedded database in the folder; "sluice migrate" makes one',
    );
  }
  const db = pglite({ folder });
  // For the audit; what fails fails the command's own statements too.
  db.query("SET application_name = 'sluice-cli'").catch(() => undefined);
  return db;
}

type Choice =
  | { readonly connectionString: string; readonly folder?: undefined }
  | { readonly connectionString?: undefined; readonly folder: string };

/** Options come before variables. */
function choose({ globals, env }: OpenDatabaseOptions): Choice {
  const typed = [globals.databaseUrl, globals.folder];
  const isTyped = typed.some((each) => each !== undefined);
  const [connectionString = "", folder = ""] = isTyped
    ? typed
    : [env["DATABASE_URL"], env["SLUICE_FOLDER"]];
  if (connectionString !== "" && folder !== "") {
    const names = isTyped ? "--database-url and --folder" : "DATABASE_URL and SLUICE_FOLDER";
    throw new CliFailure(exitCodes.usage, `two databases: give one of ${names}`);
  }
  if (folder !== "") return { folder };
  if (connectionString !== "") return { connectionString };
  throw new CliFailure(
    exitCodes.usage,
    "no database: give --database-url or DATABASE_URL, or --folder or SLUICE_FOLDER",
  );
}

function assertUrl(connectionString: string): void {
  if (/^postgres(?:ql)?:\/\//.test(connectionString) && URL.parse(connectionString) !== null)
    return;
  throw new CliFailure(
    exitCodes.usage,
    "the database URL (not shown) is none: expected postgresql://user:password@host:port/name",
  );
}
