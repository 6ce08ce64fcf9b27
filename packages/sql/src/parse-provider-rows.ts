import { providerConfigSchema, type ProviderConfig } from "@sluice/contract";

/** A column of the route's table, and what stands in it when it is well. */
export interface ColumnProblem {
  readonly column: string;
  readonly expected: string;
}

export interface ProviderRows {
  /** In the order of the route; undefined when a row is malformed. */
  readonly configs: readonly ProviderConfig[] | undefined;
  readonly problem: ColumnProblem | undefined;
  /** Whom a row plainly disables, whatever else is wrong. */
  readonly disabled: ReadonlySet<string>;
}

interface Column extends ColumnProblem {
  /** Null says the same as no such column. */
  readonly nullable: boolean;
}

const name = "1 to 128 characters on one line";
/** By field, so that each has its column. */
const columns: Readonly<Record<keyof ProviderConfig, Column>> = {
  provider: { column: "provider", nullable: false, expected: name },
  environment: { column: "environment", nullable: false, expected: name },
  enabled: { column: "enabled", nullable: false, expected: "true or false" },
  isDefault: { column: "is_default", nullable: false, expected: "true or false" },
  weight: { column: "weight", nullable: false, expected: "an integer from 0 to 1000000" },
  timeoutMs: { column: "timeout_ms", nullable: true, expected: "an integer from 1 to 600000" },
  maxRetries: { column: "max_retries", nullable: true, expected: "an integer from 0 to 10" },
  model: { column: "model", nullable: true, expected: name },
  promptTemplateVersion: { column: "prompt_template_version", nullable: true, expected: name },
  metadata: { column: "metadata", nullable: true, expected: "a JSON object" },
};

/** Those that a config and its place are read of. */
export const providerColumns: readonly string[] = [
  ...Object.values(columns).map(({ column }) => column),
  "position",
];

/** Which candidate a row or a config is, as one string. */
export const keyOf = (row: {
  readonly environment?: unknown;
  readonly provider: unknown;
}): string => JSON.stringify([row.environment ?? "prod", row.provider]);

/** The rows of `ai_provider_configs` as JSON objects. Columns that are not ours are the table's own business. */
export function parseProviderRows(
  rows: readonly unknown[],
  options: {
    /** Rows of others are passed over. */
    readonly environment?: string | undefined;
    /** Rows of others are passed over. */
    readonly providers?: readonly string[] | undefined;
  } = {},
): ProviderRows {
  const environments = options.environment === undefined ? undefined : [options.environment];
  const placed: { readonly config: ProviderConfig; readonly position: number }[] = [];
  const disabled = new Set<string>();
  let problem: ColumnProblem | undefined;

  for (const row of rows) {
    const raw = isRecord(row) ? row : {};
    if (isOther(raw["environment"] ?? "prod", environments)) continue;
    if (isOther(raw["provider"], options.providers)) continue;
    if (raw["enabled"] === false) {
      disabled.add(keyOf({ environment: raw["environment"], provider: raw["provider"] }));
    }
    const parsed = parseRow(raw);
    if ("column" in parsed) problem ??= parsed;
    else placed.push(parsed);
  }
  if (problem !== undefined) return { configs: undefined, problem, disabled };
  placed.sort((a, b) => a.position - b.position || compare(a.config.provider, b.config.provider));
  return { configs: placed.map(({ config }) => config), problem, disabled };
}

function parseRow(
  raw: Readonly<Record<string, unknown>>,
): { readonly config: ProviderConfig; readonly position: number } | ColumnProblem {
  const fields: Record<string, unknown> = {};
  for (const [field, { column, nullable }] of Object.entries(columns)) {
    const value = raw[column];
    if (value !== undefined && !(nullable && value === null)) fields[field] = value;
  }
  const config = providerConfigSchema.safeParse(fields);
  if (!config.success) {
    const [field = "provider"] = config.error.issues[0]?.path ?? [];
    const { column, expected } = columns[field as keyof ProviderConfig];
    return { column, expected };
  }
  const position = raw["position"] ?? Number.MAX_SAFE_INTEGER;
  if (typeof position !== "number") return { column: "position", expected: "a number" };
  return { config: config.data, position };
}

/** What isn't plainly somebody else's is ours to judge. */
const isOther = (value: unknown, ours: readonly string[] | undefined): boolean =>
  typeof value === "string" && ours !== undefined && !ours.includes(value);

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
