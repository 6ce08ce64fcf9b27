import type { SqlNames, SqlQuery } from "@sluice/sql";
import { z } from "zod";
import { CliFailure } from "./cli-failure.ts";
import { exitCodes } from "./exit-codes.ts";
import type { FlagPatch } from "./widenings.ts";

/** What a change sets besides enabled, percent and killed: what is not there stays. */
export interface ChangeOthers {
  /** Null is no list. */
  readonly allowlist?: readonly string[] | null;
  /** Null stands for the feature's name. */
  readonly salt?: string | null;
  readonly protected?: boolean;
}

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
  readonly others: ChangeOthers;
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
  target_others: z.object({
    allowlist: z.array(z.string()).nullable().exactOptional(),
    salt: z.string().nullable().exactOptional(),
    protected: z.boolean().exactOptional(),
  }),
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

/** One change, in whatever state. */
export async function readChange(query: SqlQuery, names: SqlNames, id: number): Promise<ChangeRow> {
  const [change] = await readChanges(query, names, { id, open: false });
  if (change === undefined) {
    throw new CliFailure(exitCodes.notFound, `no such change: ${String(id)}`);
  }
  return change;
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

/** What applying the change sets. */
export function patchOf({ enabled, percent, killed, others }: ChangeRow): FlagPatch {
  return { enabled, percent, killed, ...others };
}

/** Where it stands, an approval or request that is too old told apart. */
export function stateOfChange({ state, expired }: ChangeRow): string {
  return expired && (state === "requested" || state === "approved") ? "expired" : state;
}
