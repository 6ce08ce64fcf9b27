import { arrayLiteral } from "./array-literal.ts";
import type { SqlQuery } from "./database.ts";
import type { SqlNames } from "./names.ts";
import type { GenerationRecord } from "./record-of-outcome.ts";

/** Statements that write many records, each with one array per column as its parameters. */
export interface RecordStatements {
  readonly first: string;
  /** After an answer that never came: leaves out what the first has written. */
  readonly again: string;
}

interface Column {
  readonly name: string;
  /** Of the array's elements. */
  readonly type: "text" | "boolean" | "float8" | "bigint";
  /** From the element to the column's value. */
  readonly as?: (element: string) => string;
  readonly of: (record: GenerationRecord) => string | number | boolean | undefined;
}

const columns: readonly Column[] = [
  { name: "request_id", type: "text", of: (record) => record.requestId },
  { name: "requested_provider", type: "text", of: (record) => record.requestedProvider },
  { name: "selected_provider", type: "text", of: (record) => record.selectedProvider },
  { name: "route_strategy", type: "text", of: (record) => record.routeStrategy },
  { name: "fallback_provider", type: "text", of: (record) => record.fallbackProvider },
  { name: "fallback_used", type: "boolean", of: (record) => record.fallbackUsed },
  { name: "latency_ms", type: "bigint", of: (record) => record.latencyMs },
  { name: "prompt_template_version", type: "text", of: (record) => record.promptTemplateVersion },
  {
    name: "created_at",
    type: "float8",
    as: (ms) => `to_timestamp(${ms} / 1000)`,
    of: (record) => record.createdAtMs,
  },
  { name: "feature", type: "text", of: (record) => record.feature },
  { name: "outcome", type: "text", of: (record) => record.outcome },
  { name: "failure_code", type: "text", of: (record) => record.failureCode },
  { name: "schema_valid", type: "boolean", of: (record) => record.schemaValid },
  { name: "input_tokens", type: "bigint", of: (record) => record.inputTokens },
  { name: "output_tokens", type: "bigint", of: (record) => record.outputTokens },
  { name: "cost_nano_usd", type: "bigint", of: (record) => record.costNanoUsd },
  { name: "first_content_ms", type: "bigint", of: (record) => record.firstContentMs },
  {
    name: "metadata",
    type: "text",
    as: (json) => `${json}::jsonb`,
    of: (record) => record.metadata && JSON.stringify(record.metadata),
  },
];

/** The parameters of either statement: an array per column. */
export function recordParameters(records: readonly GenerationRecord[]): readonly string[] {
  return columns.map((column) => arrayLiteral(records.map(column.of)));
}

/**
 * Reads the types of the table's columns, because a table of the product's may hold a uuid or an enum where
 * ours holds text. `fill` answers with the place (from 1) of each record whose row was there.
 */
export async function recordStatements(
  query: SqlQuery,
  names: SqlNames,
  mode: "insert" | "fill",
): Promise<RecordStatements> {
  const table = names.table("ai_training_examples");
  const { rows } = await query<{ name: string; type: string }>(
    `SELECT attname::text AS name, format_type(atttypid, NULL) AS type
     FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
    [table],
  );
  const types = new Map(rows.map((row) => [row.name, row.type]));
  const valueOf = ({ name, type, as = (element) => element }: Column): string =>
    `(${as(`r.${name}`)})::${types.get(name) ?? type}`;
  const requestId = columns[0] === undefined ? "" : valueOf(columns[0]);

  const list = columns.map(({ name }) => name).join(", ");
  const arrays = columns.map(({ type }, index) => `$${index + 1}::${type}[]`).join(", ");
  if (mode === "fill") {
    const sets = columns
      .filter(({ name }) => name !== "request_id")
      .map((column) => `${column.name} = ${filled(column.name, valueOf(column), types)}`);
    const update = `UPDATE ${table} AS t SET ${sets.join(", ")}
      FROM unnest(${arrays}) WITH ORDINALITY AS r(${list}, place)
      WHERE t.request_id = ${requestId}
      RETURNING r.place::integer AS place`;
    return { first: update, again: update };
  }
  const insert = `INSERT INTO ${table} (${list})
    SELECT ${columns.map(valueOf).join(", ")} FROM unnest(${arrays}) AS r(${list})`;
  return {
    first: insert,
    again: `${insert} WHERE NOT EXISTS (
      SELECT FROM ${table} AS t
      WHERE t.request_id = ${requestId} AND t.created_at = to_timestamp(r.created_at / 1000)
    )`,
  };
}

/**
 * What the product has wins: a column where it is not null, and a key of an object of JSON. A column of type
 * `json` is written as `jsonb` writes it, where there are keys of ours.
 */
function filled(name: string, ours: string, types: ReadonlyMap<string, string>): string {
  const theirs = `t.${name}`;
  const type = types.get(name);
  if (name !== "metadata" || (type !== "jsonb" && type !== "json")) {
    return `coalesce(${theirs}, ${ours})`;
  }
  return `CASE WHEN ${type}_typeof(${theirs}) = 'object' AND ${ours} IS NOT NULL
    THEN (${ours}::jsonb || ${theirs}::jsonb)::${type} ELSE coalesce(${theirs}, ${ours}) END`;
}
