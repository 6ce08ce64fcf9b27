import { parseOptions } from "@sluice/contract";
import { z } from "zod";
import type { SqlDatabase, SqlQuery } from "./database.ts";
import { dayMs } from "./latency-cover.ts";
import { countRows, readByIndex, withProviders } from "./latency-rows.ts";
import { sqlNames, type SqlNameOptions, type SqlNames } from "./names.ts";

export interface RollUpLatencyOptions {
  readonly names?: SqlNameOptions;
  /**
   * Hours that end after this time are counted again, for rows that came late. Their rows must still be
   * there. Default: hours that were never counted, of the last 400 days.
   */
  readonly from?: Date;
  /** Hours that ended by then. Default: ten minutes ago, by the database's clock. */
  readonly to?: Date;
  /** Ends it after the hour that it is at. */
  readonly signal?: AbortSignal;
}

export interface LatencyRolledUp {
  /** Hours that this call counted. */
  readonly hours: number;
}

const optionsSchema = z.strictObject({
  names: z.unknown().optional(),
  from: z.date().optional(),
  to: z.date().optional(),
  signal: z.instanceof(AbortSignal).optional(),
});

const bin = (length: string, time: string): string =>
  `date_bin('${length}', ${time}, timestamptz '2000-01-01 00:00:00+00')`;

/**
 * Counts `latency_ms` per provider and bucket for each hour (in UTC) that is over and not counted yet, the
 * newest first, and sums up each day that is whole. Any number of processes may do so at once: each hour is
 * a transaction of its own, and counted once.
 * @throws ConfigError for options that are none.
 */
export async function rollUpLatency(
  db: Pick<SqlDatabase, "transaction">,
  options: RollUpLatencyOptions = {},
): Promise<LatencyRolledUp> {
  const { from, to, signal } = parseOptions("rollUpLatency", optionsSchema, options);
  const names = sqlNames(options.names);
  const starts = await db.transaction((run) => hoursToCount(run, names, from, to));
  let hours = 0;
  for (const start of starts) {
    if (signal?.aborted === true) break;
    const at = new Date(start);
    if (await db.transaction((run) => countHour(run, names, at, from !== undefined))) hours += 1;
  }
  return { hours };
}

async function hoursToCount(
  run: SqlQuery,
  names: SqlNames,
  from: Date | undefined,
  to: Date | undefined,
): Promise<readonly number[]> {
  const records = names.table("ai_training_examples");
  await run(readByIndex);
  const { rows } = await run<{ readonly start_ms: number }>(
    `${withProviders(records)}, first AS (
      SELECT min((
        SELECT created_at FROM ${records}
        WHERE selected_provider = providers.provider AND created_at IS NOT NULL
        ORDER BY created_at LIMIT 1
      )) AS at FROM providers
    ), range AS (
      SELECT greatest(
          ${bin("1 hour", "first.at")},
          ${bin("1 hour", "coalesce($1::timestamptz, high - interval '9600 hours')")}
        ) AS low, high
      FROM first, (VALUES (
        coalesce($2::timestamptz, clock_timestamp() - interval '10 minutes')
      )) AS last (high)
      WHERE first.at IS NOT NULL
    )
    SELECT extract(epoch FROM start)::float8 * 1000 AS start_ms
    FROM range, generate_series(low, high - interval '1 hour', interval '1 hour') AS start
    WHERE $1::timestamptz IS NOT NULL OR NOT EXISTS (
      SELECT FROM ${names.table("latency_rolled_up")} WHERE unit = 'hour' AND starts_at = start
    )
    ORDER BY start DESC`,
    [from?.toISOString() ?? null, to?.toISOString() ?? null],
  );
  return rows.map((row) => row.start_ms);
}

/** Whether it did: false where another has counted the hour meanwhile. */
async function countHour(
  run: SqlQuery,
  names: SqlNames,
  at: Date,
  anew: boolean,
): Promise<boolean> {
  const [hours, rolledUp] = [names.table("latency_hours"), names.table("latency_rolled_up")];
  const start = [at.toISOString()];
  // One at a time, so that a day is summed up from hours that do not change meanwhile.
  await run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`roll up ${rolledUp}`]);
  const { affected } = await run(
    `INSERT INTO ${rolledUp} (unit, starts_at) VALUES ('hour', $1::timestamptz)
     ON CONFLICT (unit, starts_at)
     ${anew ? "DO UPDATE SET rolled_up_at = clock_timestamp()" : "DO NOTHING"}`,
    start,
  );
  if (affected === 0) return false;
  const records = names.table("ai_training_examples");
  const spans = "(VALUES ($1::timestamptz, $1::timestamptz + interval '1 hour'))";
  await run(readByIndex);
  await run(`DELETE FROM ${hours} WHERE hour = $1::timestamptz`, start);
  await run(
    `${withProviders(records)}
     INSERT INTO ${hours} (hour, provider, bucket, n)
     SELECT $1::timestamptz, provider, bucket, n
     FROM (${countRows(records, spans, "providers.provider IS NOT NULL")}) AS counted`,
    start,
  );
  await sumUpDay(run, names, new Date(Math.floor(at.getTime() / dayMs) * dayMs));
  return true;
}

const isOfDay = (hour: string): string =>
  `${hour} >= $1::timestamptz AND ${hour} < $1::timestamptz + interval '24 hours'`;

/** Where each hour of the day is counted. */
async function sumUpDay(run: SqlQuery, names: SqlNames, day: Date): Promise<void> {
  const [days, rolledUp] = [names.table("latency_days"), names.table("latency_rolled_up")];
  const start = [day.toISOString()];
  const { rows } = await run<{ readonly hours: number }>(
    `SELECT count(*)::integer AS hours FROM ${rolledUp}
     WHERE unit = 'hour' AND ${isOfDay("starts_at")}`,
    start,
  );
  if (rows[0]?.hours !== 24) return;
  await run(`DELETE FROM ${days} WHERE day = $1::timestamptz`, start);
  await run(
    `INSERT INTO ${days} (day, provider, bucket, n)
     SELECT $1::timestamptz, provider, bucket, sum(n) FROM ${names.table("latency_hours")}
     WHERE ${isOfDay("hour")}
     GROUP BY provider, bucket`,
    start,
  );
  await run(
    `INSERT INTO ${rolledUp} (unit, starts_at) VALUES ('day', $1::timestamptz)
     ON CONFLICT (unit, starts_at) DO UPDATE SET rolled_up_at = clock_timestamp()`,
    start,
  );
}
