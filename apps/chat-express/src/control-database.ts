import { randomBytes } from "node:crypto";
import { systemClock } from "@sluice/guard";
import { pglite, postgres, type SqlDatabase } from "@sluice/sql";
import type { AppEnv } from "./app-env.ts";

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
