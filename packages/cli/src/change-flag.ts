import type { SqlNames, SqlQuery } from "@sluice/sql";
import { changeAgreed } from "./change-agreed.ts";
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
  protected: "protected",
} as const;

type PatchKey = keyof typeof columnOf;

const setKeys = (patch: FlagPatch): readonly PatchKey[] =>
  (Object.keys(columnOf) as PatchKey[]).filter((key) => patch[key] !== undefined);

/** Changes a feature's row in one transaction, once what widens is agreed to. */
export async function changeFlag(
  context: CliContext,
  { db, names }: Session,
  change: FlagChange,
): Promise<FlagRow> {
  const { feature, patch, reason, yes } = change;
  return changeAgreed<StoredFlag | undefined, FlagRow>(context, db, {
    what: feature,
    reason,
    yes,
    async read(query) {
      const stored = await findFlag(query, names, feature, true);
      if (stored === undefined && change.create !== true) throw noSuchFeature(feature);
      return stored;
    },
    wideningsOf: (stored) => wideningsOf(stored?.flag ?? closedFlag(feature), patch),
    write: (query, stored) =>
      stored === undefined
        ? insertFlag(query, names, change)
        : updateFlag(query, names, change, stored),
  });
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

/** Closed, but for what the patch says. */
async function insertFlag(
  query: SqlQuery,
  names: SqlNames,
  { feature, patch }: FlagChange,
): Promise<FlagRow> {
  const row = { enabled: false, percent: 0, ...patch };
  const keys = setKeys(row);
  const columns = ["feature_name", ...keys.map((key) => columnOf[key])];
  const { rows } = await query<{ row: unknown }>(
    `INSERT INTO ${names.table("feature_state")} AS t (${columns.join(", ")}) VALUES (${columns.map((_, index) => `$${String(index + 1)}`).join(", ")}) RETURNING to_jsonb(t) AS row`,
    [feature, ...keys.map((key) => row[key])],
  );
  return parseFlagRow(rows[0]?.row).flag;
}

/** Updates the columns of the patch alone, so that another's change of another column stays. */
async function updateFlag(
  query: SqlQuery,
  names: SqlNames,
  { feature, patch }: FlagChange,
  stored: StoredFlag,
): Promise<FlagRow> {
  const keys = setKeys(patch);
  const lacking = keys.find((key) => !stored.columns.has(columnOf[key]));
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
