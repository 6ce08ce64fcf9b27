import type { SqlDatabase } from "./database.ts";
import { assertLatencyQuery, type LatencyQuery, type ProviderLatency } from "./latency-query.ts";
import { sqlNames } from "./names.ts";

/**
 * The exact percentile of `latency_ms` per selected provider, in the order of their names: the answer of
 * `percentile_cont`. It counts rows per value and interpolates between two values, so that it sorts values
 * instead of rows, and needs no index on the latency and no vacuum.
 * @throws ConfigError for a percentile outside 0 to 1.
 */
export async function latencyPercentile(
  db: Pick<SqlDatabase, "transaction">,
  query: LatencyQuery,
): Promise<readonly ProviderLatency[]> {
  assertLatencyQuery("latencyPercentile", query);
  const { provider, from, to, percentile } = query;
  const parameters: unknown[] = [from.toISOString(), to.toISOString(), percentile];
  if (provider !== undefined) parameters.push(provider);
  const table = sqlNames(query.names).table("ai_training_examples");
  const text = statement(table, provider !== undefined);
  const { rows } = await db.transaction(async (run) => {
    // A table never analyzed looks small, and then all rows would be sorted to be counted. The values still
    // are sorted, at a made-up price so high that the statement would be compiled for it.
    await run(
      `SELECT set_config(name, 'off', true)
       FROM unnest(ARRAY['enable_sort', 'enable_incremental_sort', 'jit']) AS name`,
    );
    return run<Nearest>(text, parameters);
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
      SELECT latency_ms, selected_provider::text AS provider, count(*)::float8 AS n
      FROM ${table}
      WHERE created_at >= $1::timestamptz AND created_at < $2::timestamptz
        ${ofOne ? "AND selected_provider = $4" : ""}
      GROUP BY latency_ms, selected_provider
    ), running AS (
      SELECT provider, latency_ms::float8 AS ms,
        sum(n) OVER (PARTITION BY provider ORDER BY latency_ms) AS upto,
        sum(n) OVER (PARTITION BY provider) AS total
      FROM counted
      -- Of the counts, which are fewer than the rows.
      WHERE provider IS NOT NULL AND latency_ms IS NOT NULL
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
