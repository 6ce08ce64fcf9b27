import { spawnSync } from "node:child_process";

/**
 * What psql prints for a statement, unaligned and without headings: an operator's hands, with nothing of
 * ours. Waits for it; throws what psql complains of.
 */
export function runPsql(connectionString: string, statement: string): string {
  const { status, stdout, stderr, error } = spawnSync(
    "psql",
    ["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", connectionString, "-c", statement],
    { encoding: "utf8", env: { PGCONNECT_TIMEOUT: "5", ...process.env } },
  );
  if (status !== 0) throw new Error(`psql: ${error?.message ?? stderr}`);
  return stdout.trim();
}
