import { ConfigError } from "@sluice/contract";
import type { SqlDatabase } from "./database.ts";
import { type SqlNames, sqlNames } from "./names.ts";

export interface LatencyPercentileOptions {
  readonly names?: SqlNames;
  /** Default: each provider that has rows. */
  readonly provider?: string;
  /** Rows created at this time or later. */
  readonly from: Date;
  /** Rows created before this time. */
  readonly to: Date;
  /** From 0 to 1, as 0.95. */
  readonly percentile: number;
}

export interface ProviderLatency {
  readonly provider: string;
  /** Rows that have a latency. */
  readonly count: number;
  readonly latencyMs: number;
}

/**
 * The exact percentile of `latency_ms` per selected provider, in the order of their names: the answer of
 * `percentile_cont`. It counts rows per value and interpolates between two values, so that it sorts values
 * instead of rows, and needs no index on the latency and no vacuum.
 * @throws ConfigError for a percentile outside 0 to 1.
 */
export async function latencyPercentile(
  db: Pick<SqlDatabase, "transaction">,
  options: LatencyPercentileOptions,
): Promise<readonly ProviderLatency[]> {
  const { names = sqlNames(), provider, from, to, percentile } = options;
  if (!(percentile >= 0 && percentile <= 1)) {
    throw new ConfigError({
      option: "latencyPercentile.percentile",
      got: String(percentile),
      expected: "a number from 0 to 1",
    });
  }
  const parameters: unknown[] = [from.toISOString(), to.toISOString(), percentile];
  if (provider !== undefined) parameters.push(provider);
  const text = statement(names.table("ai_training_examples"), provider !== undefined);
  const { rows } = await db.transaction(async (query) => {
    // A table never analyzed looks small, and then all rows would be sorted to be counted. The values still
    // are sorted, at a made-up price so high that the statement would be compiled for it.
    await query(
      `SELECT set_config(name, 'off', true)
       FROM unnest(ARRAY['enable_sort', 'enable_incremental_sort', 'jit']) AS name`,
    );
    return query<Nearest>(text, parameters);
  });
  // Here and not in SQL, where a product too small to be told from zero is an error.
  return rows.map(({ provider: name, total, low, high, part }) => ({
    provider: name,
    count: total,
    latencyMs: low + part * (high - low),
  }));
}

interface Nearest {
  readonly provider: string;
  readonly total: number;
  readonly low: number;
  readonly high: number;
  /** How far the percentile's place is from the lower value to the higher. */
  readonly part: number;
}

function statement(table: string, ofOne: boolean): string {
  return `
    WITH counted AS MATERIALIZED (
      SELECT selected_provider::text AS provider, latency_ms, count(*)::float8 AS n
      FROM ${table}
      WHERE created_at >= $1::timestamptz AND created_at < $2::timestamptz
        AND selected_provider IS NOT NULL AND latency_ms IS NOT NULL
        ${ofOne ? "AND selected_provider = $4" : ""}
      GROUP BY selected_provider, latency_ms
    ), running AS (
      SELECT provider, latency_ms::float8 AS ms,
        sum(n) OVER (PARTITION BY provider ORDER BY latency_ms) AS upto,
        sum(n) OVER (PARTITION BY provider) AS total
      FROM counted
    ), placed AS (
      SELECT *, $3::float8 * (total - 1) AS place FROM running
    ), nearest AS (
      SELECT provider, total, place - floor(place) AS part,
        min(ms) FILTER (WHERE upto > floor(place)) AS low,
        min(ms) FILTER (WHERE upto > ceil(place)) AS high
      FROM placed
      GROUP BY provider, total, place
    )
    SELECT provider, total, low, high, part
    FROM nearest
    ORDER BY provider COLLATE "C"`;
}
