import { ConfigError } from "@sluice/contract";
import type { SqlDatabase, SqlQuery } from "./database.ts";
import { sqlNames, type SqlNameOptions, type SqlNames } from "./names.ts";
import { readMigrationFiles, type MigrationFile } from "./read-migrations.ts";

export interface MigrateOptions {
  readonly names?: SqlNameOptions;
}

export interface Migrated {
  /** The files that this call ran, in order. */
  readonly applied: readonly string[];
}

// What a semicolon may stand inside of, and the semicolon that ends a statement.
const scriptParts = /--[^\n]*|\/\*[\s\S]*?\*\/|'[^']*'|"[^"]*"|\$(\w*)\$[\s\S]*?\$\1\$|;/gu;

/**
 * Runs the migrations that the database lacks, each in a transaction. Any number of processes may do so
 * at once: each migration runs once, and the others wait for it, however long, whatever limit of time
 * the database has for other statements.
 * @throws ConfigError where a migration that ran is not the file we have.
 */
export async function migrate(db: SqlDatabase, options: MigrateOptions = {}): Promise<Migrated> {
  const names = sqlNames(options.names);
  const applied: string[] = [];
  for (const migration of await readMigrationFiles()) {
    // A sibling's migration, and our own, may take longer than a statement of the app ever should.
    const ran = await db.transaction(async (query) => runMigration(query, names, migration), {
      unhurried: true,
    });
    if (ran) applied.push(migration.name);
  }
  return { applied };
}

async function runMigration(
  query: SqlQuery,
  names: SqlNames,
  { name, script, checksum }: MigrationFile,
): Promise<boolean> {
  const ledger = names.table("sluice_migrations");
  await query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`migrate ${ledger}`]);
  await createLedger(query, names.schema, ledger);

  const { rows } = await query<{ readonly checksum: string }>(
    `SELECT checksum FROM ${ledger} WHERE name = $1`,
    [name],
  );
  const [ran] = rows;
  if (ran !== undefined) {
    if (ran.checksum !== checksum) {
      throw new ConfigError({
        option: `migration ${name}`,
        got: `a file of checksum ${checksum.slice(0, 12)}`,
        expected: `${ran.checksum.slice(0, 12)}, which the database ran`,
      });
    }
    return false;
  }

  for (const statement of splitStatements(names.render(script))) {
    await query(statement);
  }
  await query(`INSERT INTO ${ledger} (name, checksum) VALUES ($1, $2)`, [name, checksum]);
  return true;
}

/** Asks before it creates: IF NOT EXISTS wants the right to create also where there is nothing to do. */
async function createLedger(query: SqlQuery, schema: string, ledger: string): Promise<void> {
  const { rows } = await query<{ readonly schema: boolean; readonly ledger: boolean }>(
    "SELECT to_regnamespace($1) IS NOT NULL AS schema, to_regclass($2) IS NOT NULL AS ledger",
    [schema, ledger],
  );
  const [found] = rows;
  if (found?.schema !== true) {
    await query(`CREATE SCHEMA "${schema}"`);
  }
  if (found?.ledger !== true) {
    await query(
      `CREATE TABLE ${ledger} (
        name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
      )`,
    );
  }
}

function splitStatements(script: string): readonly string[] {
  const statements: string[] = [];
  let start = 0;
  for (const { 0: part, index } of script.matchAll(scriptParts)) {
    if (part === ";") {
      statements.push(script.slice(start, index));
      start = index + 1;
    }
  }
  statements.push(script.slice(start));
  return statements.filter((statement) => statement.replaceAll(/--[^\n]*/gu, "").trim() !== "");
}
