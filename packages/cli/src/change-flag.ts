import { isDeepStrictEqual } from "node:util";
import type { SqlNames, SqlQuery } from "@sluice/sql";
import type { CliContext, Session } from "./cli-context.ts";
import { CliFailure } from "./cli-failure.ts";
import { exitCodes } from "./exit-codes.ts";
import {
  findFlag,
  noSuchFeature,
  parseFlagRow,
  type FlagRow,
  type StoredFlag,
} from "./flag-row.ts";
import { wideningsOf, type FlagPatch } from "./widenings.ts";

export interface FlagChange {
  readonly feature: string;
  readonly patch: FlagPatch;
  readonly reason: string | undefined;
  /** Widening was agreed to beforehand. */
  readonly yes: boolean;
  /** Insert the feature where it is unknown. */
  readonly create?: boolean;
}

const columnOf = {
  enabled: "enabled",
  percent: "rollout_percent",
  killed: "killed",
  allowlist: "allowlist",
  salt: "salt",
} as const;

type PatchKey = keyof typeof columnOf;

const setKeys = (patch: FlagPatch): readonly PatchKey[] =>
  (Object.keys(columnOf) as PatchKey[]).filter((key) => patch[key] !== undefined);

/**
 * Changes a feature's row in one transaction. What widens is confirmed against the row as it then is;
 * where another session changed it while the question stood, it is asked again.
 */
export async function changeFlag(
  context: CliContext,
  { db, names }: Session,
  change: FlagChange,
): Promise<FlagRow> {
  let agreed: FlagRow | undefined;
  for (;;) {
    const attempt = await db.transaction(async (query) => {
      await beginChange(query, change.reason);
      const stored = await findFlag(query, names, change.feature, true);
      if (stored === undefined && change.create !== true) throw noSuchFeature(change.feature);
      const before = stored?.flag ?? closedFlag(change.feature);
      const widenings = wideningsOf(before, change.patch);
      if (widenings.length > 0 && !change.yes && !isDeepStrictEqual(before, agreed)) {
        return { ask: before, widenings };
      }
      const write = stored === undefined ? insertFlag : updateFlag;
      return { done: await write(query, names, change, stored) };
    });
    if (attempt.done !== undefined) return attempt.done;
    await context.confirm(change.feature, attempt.widenings);
    agreed = attempt.ask;
  }
}

/** The audit's reason, and a limit on waiting for whoever holds the row. */
export async function beginChange(query: SqlQuery, reason: string | undefined): Promise<void> {
  await query("SELECT set_config('lock_timeout', '3s', true)");
  if (reason !== undefined) await query("SELECT set_config('sluice.reason', $1, true)", [reason]);
}

function closedFlag(feature: string): FlagRow {
  return {
    feature,
    enabled: false,
    percent: 0,
    killed: false,
    allowlist: null,
    salt: null,
    protected: false,
    version: null,
    updatedAt: null,
  };
}

async function insertFlag(
  query: SqlQuery,
  names: SqlNames,
  { feature, patch }: FlagChange,
): Promise<FlagRow> {
  const { rows } = await query<{ row: unknown }>(
    `INSERT INTO ${names.table("feature_state")} AS t (feature_name, enabled, rollout_percent) VALUES ($1, $2, $3) RETURNING to_jsonb(t) AS row`,
    [feature, patch.enabled ?? false, patch.percent ?? 0],
  );
  return parseFlagRow(rows[0]?.row).flag;
}

/** Updates the columns of the patch alone, so that another's change of another column stays. */
async function updateFlag(
  query: SqlQuery,
  names: SqlNames,
  { feature, patch }: FlagChange,
  stored: StoredFlag | undefined,
): Promise<FlagRow> {
  const keys = setKeys(patch);
  const lacking = keys.find((key) => stored !== undefined && !stored.columns.has(columnOf[key]));
  if (lacking !== undefined) {
    throw new CliFailure(
      exitCodes.notFound,
      `the flag table has no column ${columnOf[lacking]}; enabled and rollout_percent can be set`,
    );
  }
  const sets = keys.map((key, index) => `${columnOf[key]} = $${String(index + 2)}`);
  const { rows } = await query<{ row: unknown }>(
    `UPDATE ${names.table("feature_state")} AS t SET ${sets.join(", ")} WHERE t.feature_name = $1 RETURNING to_jsonb(t) AS row`,
    [feature, ...keys.map((key) => patch[key])],
  );
  if (rows[0] === undefined) throw noSuchFeature(feature);
  return parseFlagRow(rows[0].row).flag;
}
