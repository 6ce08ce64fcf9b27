import { histogramToJson } from "@sluice/policy";
import type { MeasureSeries, MetricSeries } from "./metric-series.ts";
import type { MetricWindow } from "./metric-window.ts";

interface Column {
  readonly name: string;
  readonly type: "text" | "jsonb" | "bigint" | "double precision";
  readonly of: (series: MetricSeries) => unknown;
}

const keys: readonly Column[] = [
  { name: "feature", type: "text", of: (series) => series.feature },
  { name: "arm", type: "text", of: (series) => series.arm },
  { name: "provider", type: "text", of: (series) => series.provider },
];

const figures: readonly Column[] = [
  { name: "outcomes", type: "jsonb", of: (series) => Object.fromEntries(series.outcomes) },
  { name: "failures", type: "jsonb", of: (series) => Object.fromEntries(series.failures) },
  { name: "reasons", type: "jsonb", of: (series) => Object.fromEntries(series.reasons) },
  { name: "admission", type: "jsonb", of: (series) => Object.fromEntries(series.admission) },
  { name: "http", type: "jsonb", of: (series) => Object.fromEntries(series.http) },
  { name: "latency_ms", type: "jsonb", of: (series) => histogramToJson(series.latencyMs) },
  {
    name: "first_content_ms",
    type: "jsonb",
    of: (series) => histogramToJson(series.firstContentMs),
  },
  { name: "first_byte_ms", type: "jsonb", of: (series) => histogramToJson(series.firstByteMs) },
  { name: "queue_ms", type: "jsonb", of: (series) => histogramToJson(series.queueMs) },
  { name: "fallbacks", type: "bigint", of: (series) => series.fallbacks },
  { name: "input_tokens", type: "bigint", of: (series) => series.inputTokens },
  { name: "output_tokens", type: "bigint", of: (series) => series.outputTokens },
  { name: "cost_nano_usd", type: "bigint", of: (series) => series.costNanoUsd },
  { name: "circuit_open_ms", type: "double precision", of: (series) => series.circuitOpenMs },
  { name: "measures", type: "jsonb", of: (series) => measuresToJson(series.measures) },
];

const columns = [...keys, ...figures];

/** All rows of a window as one JSON text, the first parameter of the statement. */
export function metricRows(window: MetricWindow): string {
  return JSON.stringify(
    window
      .series()
      .map((series) => Object.fromEntries(columns.map(({ name, of }) => [name, of(series)]))),
  );
}

/**
 * Writes rows, then start in milliseconds since the epoch, instance and part. Rows that are there become what
 * is written now, so that writing once more, after an answer was lost or with later figures, counts nothing
 * twice.
 */
export function metricStatement(table: string): string {
  const list = columns.map(({ name }) => name).join(", ");
  const typed = columns.map(({ name, type }) => `${name} ${type}`).join(", ");
  const sets = figures.map(({ name }) => `${name} = excluded.${name}`).join(", ");
  return `INSERT INTO ${table} (window_start, instance_id, part, ${list})
    SELECT to_timestamp($2::double precision / 1000), $3, $4::smallint, ${list}
    FROM jsonb_to_recordset($1::jsonb) AS r (${typed})
    ON CONFLICT (window_start, feature, arm, provider, instance_id, part)
    DO UPDATE SET ${sets}, written_at = clock_timestamp()`;
}

function measuresToJson(measures: ReadonlyMap<string, MeasureSeries>): unknown {
  return Object.fromEntries(
    Array.from(measures, ([name, { sum, count, histogram, members }]) => [
      name,
      {
        ...(count > 0 && { sum, count, histogram: histogramToJson(histogram) }),
        ...(members.size > 0 && { members: Object.fromEntries(members) }),
      },
    ]),
  );
}
