import { bucketInSql } from "./latency-bucket.ts";

/**
 * Settings, for a transaction, for reading few rows of a big table by its index on provider and time. That
 * index needs no vacuum, other than the one of block ranges, which a table never vacuumed is read whole by.
 * Without statistics a planner would take that one, and sort all rows to count them.
 */
export const readByIndex = `SELECT set_config(name, 'off', true) FROM unnest(ARRAY[
  'enable_seqscan', 'enable_bitmapscan', 'enable_sort', 'enable_incremental_sort', 'jit'
]) AS name`;

/** `WITH RECURSIVE` for the providers that have rows: a look into the index for each. */
export function withProviders(records: string): string {
  return `WITH RECURSIVE providers AS (
      (SELECT selected_provider AS provider FROM ${records}
       WHERE selected_provider IS NOT NULL ORDER BY selected_provider LIMIT 1)
      UNION ALL
      SELECT (
        SELECT selected_provider FROM ${records}
        WHERE selected_provider > providers.provider ORDER BY selected_provider LIMIT 1
      ) FROM providers WHERE providers.provider IS NOT NULL
    )`;
}

/** Rows created from `span.low` to before `span.high`, counted; `spans` is SQL that gives them. */
export function countRows(records: string, spans: string, ofProviders: string): string {
  // OFFSET keeps the inner query one look into the index per provider and span.
  return `SELECT providers.provider::text AS provider, found.bucket, count(*) AS n
    FROM ${spans} AS span (low, high)
    CROSS JOIN providers
    CROSS JOIN LATERAL (
      SELECT ${bucketInSql("latency_ms")} AS bucket FROM ${records}
      WHERE selected_provider = providers.provider
        AND created_at >= span.low AND created_at < span.high AND latency_ms IS NOT NULL
      OFFSET 0
    ) AS found
    WHERE ${ofProviders}
    GROUP BY providers.provider, found.bucket`;
}
