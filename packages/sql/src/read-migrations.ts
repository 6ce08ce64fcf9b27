import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type { SqlDatabase } from "./database.ts";
import { sqlNames, type SqlNameOptions } from "./names.ts";

export interface ReadMigrationsOptions {
  readonly names?: SqlNameOptions;
}

/** How a database stands to the migrations of this package; names in order. */
export interface MigrationsRead {
  /** It ran the very files that we have. */
  readonly applied: readonly string[];
  /** It has not run them; `migrate` would. */
  readonly missing: readonly string[];
  /** It ran another file of that name; `migrate` refuses. */
  readonly differing: readonly string[];
  /** It ran them and we have no such file: the database is newer than this package. */
  readonly unknown: readonly string[];
}

/** A file of ours. */
export interface MigrationFile {
  readonly name: string;
  readonly script: string;
  /** SHA-256 of the script with LF, in hex. */
  readonly checksum: string;
}

const folder = new URL("../migrations/", import.meta.url);
const migrationName = /^\d{4}_[a-z_]+\.sql$/u;

/** Our migrations, in order. */
export async function readMigrationFiles(): Promise<readonly MigrationFile[]> {
  const files = (await readdir(folder)).filter((file) => migrationName.test(file)).toSorted();
  return Promise.all(
    files.map(async (name) => {
      const text = await readFile(new URL(name, folder), "utf8");
      const script = text.replaceAll("\r\n", "\n");
      return { name, script, checksum: createHash("sha256").update(script).digest("hex") };
    }),
  );
}

/**
 * Compares what the database ran with the files that we have. Changes nothing; where nothing was ever
 * migrated, all are missing.
 * @throws ConfigError for names that are none; rejects with the database's error.
 */
export async function readMigrations(
  db: SqlDatabase,
  options: ReadMigrationsOptions = {},
): Promise<MigrationsRead> {
  const ran = await readLedger(db, sqlNames(options.names).table("sluice_migrations"));
  const files = await readMigrationFiles();
  const namesOf = (holds: (file: MigrationFile) => boolean): readonly string[] =>
    files.filter(holds).map(({ name }) => name);
  const ours = new Set(namesOf(() => true));
  return {
    applied: namesOf(({ name, checksum }) => ran.get(name) === checksum),
    missing: namesOf(({ name }) => !ran.has(name)),
    differing: namesOf(({ name, checksum }) => ran.has(name) && ran.get(name) !== checksum),
    unknown: [...ran.keys()].filter((name) => !ours.has(name)).toSorted(),
  };
}

async function readLedger(db: SqlDatabase, ledger: string): Promise<ReadonlyMap<string, string>> {
  const found = await db.query<{ readonly there: boolean }>(
    "SELECT to_regclass($1) IS NOT NULL AS there",
    [ledger],
  );
  if (found.rows[0]?.there !== true) return new Map();
  const { rows } = await db.query<{ readonly name: string; readonly checksum: string }>(
    `SELECT name, checksum FROM ${ledger}`,
  );
  return new Map(rows.map(({ name, checksum }) => [name, checksum]));
}
