import { describeValue } from "@sluice/contract";
import type { SqlQuery } from "@sluice/sql";
import { changeAgreed } from "./change-agreed.ts";
import type { CliContext, Session } from "./cli-context.ts";
import { CliFailure } from "./cli-failure.ts";
import { exitCodes } from "./exit-codes.ts";
import { parseProviderRow, type ProviderRow } from "./provider-row.ts";

/** The columns that a command sets; null gives a setting back to the guard or the provider. */
export interface ProviderPatch {
  readonly enabled?: boolean;
  /** Takes it from whoever is the default of the environment. */
  readonly isDefault?: true;
  readonly weight?: number;
  readonly timeoutMs?: number | null;
  readonly maxRetries?: number | null;
  readonly model?: string | null;
  readonly promptTemplateVersion?: string | null;
  readonly position?: number;
}

export interface ProviderChange {
  readonly environment: string;
  readonly provider: string;
  readonly patch: ProviderPatch;
  /** Widening was agreed to beforehand. */
  readonly yes: boolean;
  /** Insert the provider where it is unknown. */
  readonly create: boolean;
}

const columnOf = {
  enabled: "enabled",
  isDefault: "is_default",
  weight: "weight",
  timeoutMs: "timeout_ms",
  maxRetries: "max_retries",
  model: "model",
  promptTemplateVersion: "prompt_template_version",
  position: "position",
} as const;

type PatchKey = keyof typeof columnOf;

const setKeys = (patch: ProviderPatch): readonly PatchKey[] =>
  (Object.keys(columnOf) as PatchKey[]).filter((key) => patch[key] !== undefined);

/** Changes a provider's row in one transaction, once what sends it more requests is agreed to. */
export async function changeProvider(
  context: CliContext,
  { db, names }: Session,
  change: ProviderChange,
): Promise<ProviderRow> {
  const { environment, provider, patch, yes, create } = change;
  const table = names.table("ai_provider_configs");
  return changeAgreed<ProviderRow | undefined, ProviderRow>(context, db, {
    what: `provider ${provider} in ${environment}`,
    reason: undefined,
    yes,
    async read(query) {
      const found = await lockProvider(query, table, change);
      if (found === undefined && !create) throw noSuchProvider(change);
      return found;
    },
    wideningsOf: (before) => wideningsOf(before, patch),
    async write(query, before) {
      if (patch.isDefault === true) await takeDefault(query, table, change);
      return before === undefined
        ? insertProvider(query, table, change)
        : updateProvider(query, table, change);
    },
  });
}

/** One phrase for each way in which a provider may get requests that it did not get. */
function wideningsOf(before: ProviderRow | undefined, patch: ProviderPatch): readonly string[] {
  const found: string[] = [];
  if (patch.enabled === true && before?.enabled !== true) found.push("enabled: no -> yes");
  if (patch.isDefault === true && before?.isDefault !== true) found.push("default: no -> yes");
  if (before === undefined) return found;
  if (patch.weight !== undefined && patch.weight > 0 && before.weight === 0) {
    found.push(`weight: 0 -> ${String(patch.weight)}`);
  }
  if (patch.model !== undefined && patch.model !== before.model) {
    found.push(`model: ${describeModel(before.model)} -> ${describeModel(patch.model)}`);
  }
  return found;
}

const describeModel = (model: string | null): string =>
  model === null ? "the provider's own" : describeValue(model);

/**
 * The row as it is. The whole environment is locked, in one order, so that two who move the default do so
 * one after the other.
 */
async function lockProvider(
  query: SqlQuery,
  table: string,
  { environment, provider }: ProviderChange,
): Promise<ProviderRow | undefined> {
  const { rows } = await query<{ row: unknown }>(
    `SELECT to_jsonb(t) AS row FROM ${table} AS t WHERE t.environment = $1 ORDER BY t.provider FOR UPDATE`,
    [environment],
  );
  return rows.map(({ row }) => parseProviderRow(row)).find((row) => row.provider === provider);
}

/** Before another gets it: an index allows one default per environment, at any time. */
async function takeDefault(
  query: SqlQuery,
  table: string,
  { environment, provider }: ProviderChange,
): Promise<void> {
  await query(
    `UPDATE ${table} SET is_default = false WHERE environment = $1 AND provider <> $2 AND is_default`,
    [environment, provider],
  );
}

/** Disabled, but for what the patch says. */
async function insertProvider(
  query: SqlQuery,
  table: string,
  { environment, provider, patch }: ProviderChange,
): Promise<ProviderRow> {
  const row = { enabled: false, ...patch };
  const keys = setKeys(row);
  const columns = ["environment", "provider", ...keys.map((key) => columnOf[key])];
  const { rows } = await query<{ row: unknown }>(
    `INSERT INTO ${table} AS t (${columns.join(", ")}) VALUES (${columns.map((_, index) => `$${String(index + 1)}`).join(", ")}) RETURNING to_jsonb(t) AS row`,
    [environment, provider, ...keys.map((key) => row[key])],
  );
  return parseProviderRow(rows[0]?.row);
}

/** Updates the columns of the patch alone. */
async function updateProvider(
  query: SqlQuery,
  table: string,
  change: ProviderChange,
): Promise<ProviderRow> {
  const { environment, provider, patch } = change;
  const keys = setKeys(patch);
  const sets = keys.map((key, index) => `${columnOf[key]} = $${String(index + 3)}`);
  const { rows } = await query<{ row: unknown }>(
    `UPDATE ${table} AS t SET ${sets.join(", ")} WHERE t.environment = $1 AND t.provider = $2 RETURNING to_jsonb(t) AS row`,
    [environment, provider, ...keys.map((key) => patch[key])],
  );
  if (rows[0] === undefined) throw noSuchProvider(change);
  return parseProviderRow(rows[0].row);
}

function noSuchProvider({ environment, provider }: ProviderChange): CliFailure {
  return new CliFailure(
    exitCodes.notFound,
    `no such provider in ${describeValue(environment)}: ${describeValue(provider)}; --create makes it`,
  );
}
