import { parseOptions } from "@sluice/contract";
import { z } from "zod";
import type { SqlDatabase } from "./database.ts";
import { sqlNames, type SqlNameOptions } from "./names.ts";

export interface ReadUsageOptions {
  /** Requests that began at this time or later. */
  readonly from: Date;
  /** Requests that began before this time. */
  readonly to: Date;
  /** Default: every feature. */
  readonly features?: readonly string[];
  readonly names?: SqlNameOptions;
}

/** What providers told of their usage, as records hold it. */
export interface RecordedUsage {
  /** For which a provider was called, by name. */
  readonly features: readonly string[];
  /** Requests of which at least one call told its usage. */
  readonly counted: number;
  /** Requests for which a provider was called and no call told its usage. */
  readonly uncounted: number;
  /** Input and output, of all calls of a request. */
  readonly tokens: number;
  readonly costNanoUsd: number;
}

const optionsSchema = z.strictObject({
  from: z.date(),
  to: z.date(),
  features: z.array(z.string()).optional(),
  names: z.custom<SqlNameOptions>().optional(),
});

/**
 * Adds up the generation records of the requests that began in a time. A record is of a request's end; when
 * it began is told by its latency, and one that took more than a day is not found.
 * @throws ConfigError for an option that is wrong; rejects with the database's error.
 */
export async function readUsage(
  db: Pick<SqlDatabase, "query">,
  options: ReadUsageOptions,
): Promise<RecordedUsage> {
  const { from, to, features, names } = parseOptions("readUsage", optionsSchema, options);
  const { rows } = await db.query<RecordedUsage>(
    // created_at is bounded by itself as well, for the index.
    `SELECT
      coalesce(array_agg(DISTINCT feature::text) FILTER (WHERE selected_provider IS NOT NULL), '{}') AS features,
      (count(*) FILTER (WHERE input_tokens IS NOT NULL))::double precision AS counted,
      (count(*) FILTER (
        WHERE selected_provider IS NOT NULL AND input_tokens IS NULL
      ))::double precision AS uncounted,
      coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)), 0)::double precision AS tokens,
      coalesce(sum(cost_nano_usd), 0)::double precision AS "costNanoUsd"
    FROM ${sqlNames(names).table("ai_training_examples")}
    CROSS JOIN LATERAL (
      SELECT created_at - coalesce(latency_ms, 0)::double precision * interval '1 millisecond'
    ) AS request (began_at)
    WHERE created_at >= $1::timestamptz AND created_at < $2::timestamptz + interval '1 day'
      AND began_at >= $1::timestamptz AND began_at < $2::timestamptz
      AND feature IS NOT NULL AND ($3::text[] IS NULL OR feature::text = ANY ($3::text[]))`,
    [from.toISOString(), to.toISOString(), features ?? null],
  );
  const [usage] = rows;
  if (usage === undefined) throw new Error("sluice: the database answered without a row");
  return { ...usage, features: usage.features.toSorted() };
}
