import type { SqlNames, SqlQuery } from "@sluice/sql";
import { z } from "zod";
import { printTable } from "./print-table.ts";

/** A row of the table of providers; null where the guard or the provider has its own. */
export interface ProviderRow {
  readonly environment: string;
  readonly provider: string;
  readonly enabled: boolean;
  readonly isDefault: boolean;
  readonly weight: number | null;
  readonly timeoutMs: number | null;
  readonly maxRetries: number | null;
  readonly model: string | null;
  readonly promptTemplateVersion: string | null;
  readonly position: number | null;
  readonly version: number | null;
  readonly updatedAt: string | null;
}

const integer = z.int().nullable().catch(null);
const text = z.string().nullable().catch(null);

// A malformed value must not keep anybody from setting it right.
const rowSchema = z.object({
  environment: z.string(),
  provider: z.string(),
  enabled: z.boolean().catch(false),
  is_default: z.boolean().catch(false),
  weight: integer,
  timeout_ms: integer,
  max_retries: integer,
  model: text,
  prompt_template_version: text,
  position: integer,
  version: integer,
  updated_at: text,
});

export function parseProviderRow(value: unknown): ProviderRow {
  const row = rowSchema.parse(value);
  return {
    environment: row.environment,
    provider: row.provider,
    enabled: row.enabled,
    isDefault: row.is_default,
    weight: row.weight,
    timeoutMs: row.timeout_ms,
    maxRetries: row.max_retries,
    model: row.model,
    promptTemplateVersion: row.prompt_template_version,
    position: row.position,
    version: row.version,
    updatedAt: row.updated_at,
  };
}

/** All providers, or those of one environment, in the order of the route. */
export async function readProviders(
  query: SqlQuery,
  names: SqlNames,
  environment: string | undefined,
): Promise<readonly ProviderRow[]> {
  const { rows } = await query<{ row: unknown }>(
    `SELECT to_jsonb(t) AS row FROM ${names.table("ai_provider_configs")} AS t
     WHERE $1::text IS NULL OR t.environment = $1::text
     ORDER BY t.environment, t.position, t.provider COLLATE "C"`,
    [environment ?? null],
  );
  return rows.map(({ row }) => parseProviderRow(row));
}

/** Providers as a table for people. */
export function printProviders(providers: readonly ProviderRow[]): string {
  return printTable(
    [
      "environment",
      "provider",
      "enabled",
      "default",
      "weight",
      "timeout ms",
      "max retries",
      "model",
      "prompt template",
      "position",
      "version",
    ],
    providers.map((row) => [
      row.environment,
      row.provider,
      row.enabled,
      row.isDefault,
      row.weight,
      row.timeoutMs,
      row.maxRetries,
      row.model,
      row.promptTemplateVersion,
      row.position,
      row.version,
    ]),
  );
}
