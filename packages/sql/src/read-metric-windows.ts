import { type MetricArm, metricArms, parseOptions } from "@sluice/contract";
import { z } from "zod";
import type { SqlDatabase } from "./database.ts";
import { type MetricGroup, type MetricTotals, toTotals } from "./metric-totals.ts";
import { sqlNames, type SqlNameOptions } from "./names.ts";

export interface ReadMetricWindowsOptions {
  readonly feature: string;
  /** Windows that start at this time or later. */
  readonly from: Date;
  /** Windows that start before this time. */
  readonly to: Date;
  /** Default: each arm that has figures. */
  readonly arm?: MetricArm;
  /** The empty text is the requests for which no provider was called. Default: each provider. */
  readonly provider?: string;
  /** `total` (default) adds all windows up; `window` gives each window of 10 seconds on its own. */
  readonly by?: "total" | "window";
  readonly names?: SqlNameOptions;
}

const optionsSchema = z.strictObject({
  feature: z.string(),
  from: z.date(),
  to: z.date(),
  arm: z.enum(metricArms).optional(),
  provider: z.string().optional(),
  by: z.enum(["total", "window"]).default("total"),
  names: z.custom<SqlNameOptions>().optional(),
});

/**
 * Adds up the windows of a feature over processes and parts, in the order of time, arm and provider. The
 * database adds up, so that what is read depends on how many buckets there are and not on how many rows.
 * @throws ConfigError for an option that is wrong; rejects with the database's error.
 */
export async function readMetricWindows(
  db: Pick<SqlDatabase, "query">,
  options: ReadMetricWindowsOptions,
): Promise<readonly MetricTotals[]> {
  const { feature, from, to, arm, provider, by, names } = parseOptions(
    "readMetricWindows",
    optionsSchema,
    options,
  );
  const text = statement(sqlNames(names).table("metric_windows"), by);
  const { rows } = await db.query<MetricGroup>(text, [
    feature,
    from.toISOString(),
    to.toISOString(),
    arm ?? null,
    provider ?? null,
  ]);
  return rows.map(toTotals);
}

const counts = ["outcomes", "failures", "reasons", "admission", "http"];
const histograms = ["latency_ms", "first_content_ms", "first_byte_ms", "queue_ms"];
const sums = ["fallbacks", "input_tokens", "output_tokens", "cost_nano_usd", "circuit_open_ms"];

/** Every column becomes keys with numbers, so that one GROUP BY adds up all of them. */
function statement(table: string, by: "total" | "window"): string {
  const maps = [...counts, ...histograms].map((column) => `('${column}', ${column})`).join(", ");
  const sumsMap = sums.map((column) => `'${column}', ${column}`).join(", ");
  return `
    WITH chosen AS (
      SELECT ${by === "window" ? "window_start" : "NULL::timestamptz"} AS start, t.*
      FROM ${table} AS t
      WHERE window_start >= $2::timestamptz AND window_start < $3::timestamptz AND feature = $1
        AND ($4::text IS NULL OR arm = $4::text) AND ($5::text IS NULL OR provider = $5::text)
    ), maps AS (
      SELECT start, arm, provider, '' AS measure, map.name, map.numbers
      FROM chosen CROSS JOIN LATERAL (
        VALUES ${maps}, ('sums', jsonb_build_object(${sumsMap}))
      ) AS map (name, numbers)
      UNION ALL
      SELECT start, arm, provider, measures.key, map.name, map.numbers
      FROM chosen CROSS JOIN LATERAL jsonb_each(measures) AS measures
      CROSS JOIN LATERAL (VALUES
        ('sums', measures.value - 'histogram' - 'members'),
        ('histogram', measures.value -> 'histogram'),
        ('members', measures.value -> 'members')
      ) AS map (name, numbers)
    ), added AS (
      SELECT start, arm, provider, measure, name, key, sum(value::numeric) AS total
      FROM maps CROSS JOIN LATERAL jsonb_each_text(numbers) AS entry (key, value)
      GROUP BY start, arm, provider, measure, name, key
    ), named AS (
      SELECT start, arm, provider, measure, name, jsonb_object_agg(key, total) AS numbers
      FROM added
      GROUP BY start, arm, provider, measure, name
    ), measured AS (
      SELECT start, arm, provider, measure, jsonb_object_agg(name, numbers) AS names
      FROM named
      GROUP BY start, arm, provider, measure
    )
    SELECT (extract(epoch FROM start) * 1000)::double precision AS start_ms, arm, provider,
      coalesce(jsonb_object_agg(measure, names) -> '', '{}') AS figures,
      jsonb_object_agg(measure, names) - '' AS measures
    FROM measured
    GROUP BY start, arm, provider
    ORDER BY start, arm COLLATE "C", provider COLLATE "C"`;
}
