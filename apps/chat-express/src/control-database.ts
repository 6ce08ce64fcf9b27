import { randomBytes } from "node:crypto";
import { ConfigError } from "@sluice/contract";
import { systemClock } from "@sluice/guard";
import { migrate, pglite, postgres, readMigrations, type SqlDatabase } from "@sluice/sql";
import type { AppEnv } from "./app-env.ts";
import { codeOf } from "./error-code.ts";

/** The database of the control plane, and the variable that names it. */
export interface ControlDatabase {
  readonly db: SqlDatabase;
  readonly variable: "DATABASE_URL" | "SLUICE_FOLDER";
}

/** PostgreSQL, or one embedded in a folder, which lets `sluice --folder` in; undefined where none is named. */
export function openControlDatabase(
  env: Pick<AppEnv, "DATABASE_URL" | "SLUICE_FOLDER">,
  onProblem: (line: string) => void,
): ControlDatabase | undefined {
  const { DATABASE_URL: connectionString, SLUICE_FOLDER: folder } = env;
  if (connectionString !== undefined) {
    const db = postgres({ connectionString, applicationName: "chat-express" });
    return { db, variable: "DATABASE_URL" };
  }
  if (folder === undefined) return undefined;
  const db = pglite({
    folder,
    socket: {
      clock: systemClock,
      randomBytes,
      onProblem: ({ code }) => onProblem(`SLUICE_FOLDER: ${code}; no other process is let in`),
    },
  });
  return { db, variable: "SLUICE_FOLDER" };
}

/**
 * Brings the tables up to date and names the feature, closed, where the table does not know it. Where that
 * fails, whatever can be read is obeyed all the same: else the feature is closed, and the safe path serves.
 * @returns whether it was done
 * @throws ConfigError where another process has the folder
 */
export async function prepareTables(
  { db, variable }: ControlDatabase,
  onProblem: (line: string) => void,
): Promise<boolean> {
  try {
    await prepare(db);
    return true;
  } catch (error) {
    if (variable === "SLUICE_FOLDER" && ConfigError.isInstance(error)) throw error;
    const why = ConfigError.isInstance(error) ? error.message : codeOf(error);
    onProblem(`${variable}: ${why}; chat_ai stays closed until its flags can be read`);
    return false;
  }
}

/** Looks first: a role that may only read and write needs no right to create. */
async function prepare(db: SqlDatabase): Promise<void> {
  const { missing, differing } = await readMigrations(db);
  if (missing.length + differing.length > 0) await migrate(db);
  const { rows } = await db.query("SELECT FROM feature_state WHERE feature_name = $1", ["chat_ai"]);
  if (rows.length > 0) return;
  await db.query("INSERT INTO feature_state (feature_name) VALUES ($1) ON CONFLICT DO NOTHING", [
    "chat_ai",
  ]);
}
