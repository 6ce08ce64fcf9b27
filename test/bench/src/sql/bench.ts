import { pglite, postgres, type SqlDatabase } from "@sluice/sql";
import { withOwnDatabase } from "../own-database.ts";
import type { Metric } from "../result.ts";
import { generateRecords } from "./generate-records.ts";
import { measureLatency } from "./measure-latency.ts";

const million = 1_000_000;

/** The p95 per provider over generated records, on PostgreSQL and on PGlite in memory. */
export async function benchSql(): Promise<readonly Metric[]> {
  return [
    ...(await onPostgres((db) => measure(db, 1, "PostgreSQL", 300))),
    ...(await onPostgres((db) => measure(db, 10, "PostgreSQL"))),
    ...(await onPglite((db) => measure(db, 1, "PGlite", 600))),
  ];
}

async function measure(
  db: SqlDatabase,
  millions: number,
  name: string,
  exactMs?: number,
): Promise<readonly Metric[]> {
  await generateRecords(db, millions * million);
  return measureLatency(db, `${name}, ${millions}M`, {
    ...(exactMs !== undefined && { exactMs }),
    runs: millions === 1 ? 7 : 3,
  });
}

function onPostgres<Result>(work: (db: SqlDatabase) => Promise<Result>): Promise<Result> {
  return withOwnDatabase(async (connectionString) => {
    const db = postgres({ connectionString, statementTimeoutMs: 600_000 });
    try {
      return await work(db);
    } finally {
      await db.close();
    }
  });
}

async function onPglite<Result>(work: (db: SqlDatabase) => Promise<Result>): Promise<Result> {
  const db = pglite();
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}
