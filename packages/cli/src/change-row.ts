import type { SqlNames, SqlQuery } from "@sluice/sql";
import { z } from "zod";
import { printTable } from "./print-table.ts";
import { quoteLiteral } from "./quote-literal.ts";

/** A change of a protected feature. */
export interface ChangeRow {
  readonly id: number;
  readonly feature: string;
  readonly state: string;
  /** The version of the feature's row that it was asked for. */
  readonly rowVersion: number;
  readonly enabled: boolean;
  readonly percent: number;
  readonly killed: boolean;
  /** Of allowlist, salt and protected, those that change as well. */
  readonly others: Readonly<Record<string, unknown>>;
  readonly reason: string;
  readonly requestedBy: string;
  readonly approvedBy: string | null;
  readonly expiresAt: string;
  readonly expired: boolean;
}

const rowSchema = z.object({
  id: z.int(),
  feature_name: z.string(),
  state: z.string(),
  row_version: z.int(),
  target_enabled: z.boolean(),
  target_percent: z.int(),
  target_killed: z.boolean(),
  target_others: z.record(z.string(), z.unknown()),
  reason: z.string(),
  requested_by: z.string(),
  approved_by: z.string().nullable(),
  expires_at: z.string(),
  expired: z.boolean(),
});

export interface ChangeFilter {
  readonly id?: number;
  readonly feature?: string;
  /** Only what can still be approved or applied. */
  readonly open: boolean;
}

/** Changes, the newest first. */
export async function readChanges(
  query: SqlQuery,
  names: SqlNames,
  { id, feature, open }: ChangeFilter,
): Promise<readonly ChangeRow[]> {
  const { rows } = await query<{ row: unknown }>(
    `SELECT to_jsonb(t) || jsonb_build_object('expired', t.expires_at <= clock_timestamp()) AS row
     FROM ${names.table("flag_changes")} AS t
     WHERE ($1::bigint IS NULL OR t.id = $1::bigint)
       AND ($2::text IS NULL OR t.feature_name = $2::text)
       AND (NOT $3::boolean OR (t.state IN ('requested', 'approved') AND t.expires_at > clock_timestamp()))
     ORDER BY t.id DESC LIMIT 100`,
    [id ?? null, feature ?? null, open],
  );
  return rows.map(({ row }) => toChange(row));
}

function toChange(value: unknown): ChangeRow {
  const row = rowSchema.parse(value);
  return {
    id: row.id,
    feature: row.feature_name,
    state: row.state,
    rowVersion: row.row_version,
    enabled: row.target_enabled,
    percent: row.target_percent,
    killed: row.target_killed,
    others: row.target_others,
    reason: row.reason,
    requestedBy: row.requested_by,
    approvedBy: row.approved_by,
    expiresAt: row.expires_at,
    expired: row.expired,
  };
}

/** The statement that applies an approved change, for psql; undefined where it names more columns. */
export function applyingSql(change: ChangeRow, names: SqlNames): string | undefined {
  if (Object.keys(change.others).length > 0) return undefined;
  return `UPDATE ${names.table("feature_state")} SET enabled = ${String(change.enabled)}, rollout_percent = ${String(change.percent)}, killed = ${String(change.killed)} WHERE feature_name = ${quoteLiteral(change.feature)};`;
}

export function printChanges(changes: readonly ChangeRow[]): string {
  return printTable(
    [
      "id",
      "feature",
      "state",
      "enabled",
      "percent",
      "killed",
      "others",
      "version",
      "asked by",
      "approved by",
      "expires",
      "reason",
    ],
    changes.map((change) => [
      change.id,
      change.feature,
      change.expired && (change.state === "requested" || change.state === "approved")
        ? "expired"
        : change.state,
      change.enabled,
      change.percent,
      change.killed,
      Object.keys(change.others).join(","),
      change.rowVersion,
      change.requestedBy,
      change.approvedBy,
      change.expiresAt,
      change.reason,
    ]),
  );
}
