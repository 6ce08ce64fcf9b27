import type { SqlDatabase, SqlQuery } from "./database.ts";
import { latencyOfBucket } from "./latency-bucket.ts";
import { coverLatency, type LatencyCover, type Span } from "./latency-cover.ts";
import { assertLatencyQuery, type LatencyQuery, type ProviderLatency } from "./latency-query.ts";
import { countRows, readByIndex, withProviders } from "./latency-rows.ts";
import { sqlNames, type SqlNames } from "./names.ts";

/**
 * The percentile of `latency_ms` per selected provider, in the order of their names, within 1 % of what
 * `latencyPercentile` answers. It adds up the counts of the days and hours that are rolled up, and reads the
 * rows of the rest. Rows that came after their hour was rolled up are not in it.
 * @throws ConfigError for a percentile outside 0 to 1.
 */
export async function latencyEstimate(
  db: Pick<SqlDatabase, "transaction">,
  query: LatencyQuery,
): Promise<readonly ProviderLatency[]> {
  assertLatencyQuery("latencyEstimate", query);
  const { provider, from, to, percentile } = query;
  const names = sqlNames(query.names);
  const whole = { fromMs: from.getTime(), toMs: to.getTime() };
  if (!(whole.fromMs < whole.toMs)) return [];
  const counts = await db.transaction(async (run) => {
    const cover = await coverOf(run, names, whole);
    await run(readByIndex);
    const { rows } = await run<Count>(sumOf(names, provider !== undefined), [
      ...bounds(cover.days),
      ...bounds(cover.hours),
      ...bounds(cover.rows),
      ...(provider === undefined ? [] : [provider]),
    ]);
    return rows;
  });
  return [...Map.groupBy(counts, (count) => count.provider)].map(([name, ofProvider]) =>
    estimate(name, ofProvider, percentile),
  );
}

interface Count {
  readonly provider: string;
  readonly bucket: number;
  readonly n: number;
}

async function coverOf(run: SqlQuery, names: SqlNames, whole: Span): Promise<LatencyCover> {
  const { rows } = await run<{ readonly unit: string; readonly start_ms: number }>(
    `SELECT unit, extract(epoch FROM starts_at)::float8 * 1000 AS start_ms
     FROM ${names.table("latency_rolled_up")}
     WHERE unit IN ('hour', 'day') AND starts_at >= $1::timestamptz AND starts_at < $2::timestamptz`,
    [toText(whole.fromMs), toText(whole.toMs)],
  );
  const startsOf = (unit: string): readonly number[] =>
    rows.filter((row) => row.unit === unit).map((row) => row.start_ms);
  return coverLatency(whole, startsOf("day"), startsOf("hour"));
}

function sumOf(names: SqlNames, ofOne: boolean): string {
  const records = names.table("ai_training_examples");
  const rolledUp = (table: string, start: string, low: string, high: string): string =>
    `SELECT provider, bucket, n
     FROM unnest(${low}::timestamptz[], ${high}::timestamptz[]) AS span (low, high)
     CROSS JOIN LATERAL (
       SELECT provider, bucket, n FROM ${names.table(table)}
       WHERE ${start} >= span.low AND ${start} < span.high ${ofOne ? "AND provider = $7" : ""}
       OFFSET 0
     ) AS counted`;
  return `${withProviders(records)}
    SELECT provider, bucket::integer AS bucket, sum(n)::float8 AS n FROM (
      ${rolledUp("latency_days", "day", "$1", "$2")}
      UNION ALL
      ${rolledUp("latency_hours", "hour", "$3", "$4")}
      UNION ALL
      (${countRows(
        records,
        "unnest($5::timestamptz[], $6::timestamptz[])",
        ofOne ? "providers.provider::text = $7" : "providers.provider IS NOT NULL",
      )})
    ) AS all_counts
    GROUP BY provider, bucket
    ORDER BY provider COLLATE "C", bucket`;
}

function bounds(spans: readonly Span[]): [low: string[], high: string[]] {
  return [spans.map(({ fromMs }) => toText(fromMs)), spans.map(({ toMs }) => toText(toMs))];
}

function toText(ms: number): string {
  return new Date(ms).toISOString();
}

/** Between the estimates of two ranks, as `percentile_cont` is between two values. */
function estimate(provider: string, counts: readonly Count[], percentile: number): ProviderLatency {
  const count = counts.reduce((sum, { n }) => sum + n, 0);
  const place = percentile * (count - 1);
  const low = latencyAt(counts, Math.floor(place));
  const high = latencyAt(counts, Math.ceil(place));
  return { provider, count, latencyMs: low + (place - Math.floor(place)) * (high - low) };
}

function latencyAt(counts: readonly Count[], rank: number): number {
  let upTo = 0;
  for (const { bucket, n } of counts) {
    upTo += n;
    if (upTo > rank) return latencyOfBucket(bucket);
  }
  return Number.NaN;
}
