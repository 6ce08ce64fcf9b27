import { describeValue } from "@sluice/contract";
import type { SqlNames, SqlQuery } from "@sluice/sql";
import { z } from "zod";
import { CliFailure } from "./cli-failure.ts";
import { exitCodes } from "./exit-codes.ts";

/** A row of the flag table; columns that the table lacks have their neutral values. */
export interface FlagRow {
  readonly feature: string;
  readonly enabled: boolean;
  readonly percent: number;
  readonly killed: boolean;
  readonly allowlist: readonly string[] | null;
  /** Null stands for the feature's name. */
  readonly salt: string | null;
  readonly protected: boolean;
  readonly version: number | null;
  readonly updatedAt: string | null;
}

/** What a row reads as; the column names that the table has beside it. */
export interface StoredFlag {
  readonly flag: FlagRow;
  readonly columns: ReadonlySet<string>;
}

// Malformed values read as the safest, as the guard reads them.
const rowSchema = z.looseObject({
  feature_name: z.string(),
  enabled: z.boolean().catch(false),
  rollout_percent: z.int().min(0).max(100).catch(0),
  killed: z.boolean().default(false).catch(true),
  allowlist: z.array(z.string()).nullable().default(null).catch([]),
  salt: z.string().nullable().default(null).catch(null),
  protected: z.boolean().default(false).catch(true),
  version: z.int().nullable().default(null).catch(null),
  updated_at: z.string().nullable().default(null).catch(null),
});

export function parseFlagRow(row: unknown): StoredFlag {
  const parsed = rowSchema.parse(row);
  const columns = new Set(Object.keys(z.looseObject({}).parse(row)));
  return {
    flag: {
      feature: parsed.feature_name,
      enabled: parsed.enabled,
      percent: parsed.rollout_percent,
      killed: parsed.killed,
      allowlist: parsed.allowlist,
      salt: parsed.salt,
      protected: parsed.protected,
      version: parsed.version,
      updatedAt: parsed.updated_at,
    },
    columns,
  };
}

/** All features, by name. */
export async function readFlags(query: SqlQuery, names: SqlNames): Promise<readonly FlagRow[]> {
  const { rows } = await query<{ row: unknown }>(
    `SELECT to_jsonb(t) AS row FROM ${names.table("feature_state")} AS t ORDER BY t.feature_name`,
  );
  return rows.map(({ row }) => parseFlagRow(row).flag);
}

/** One feature; `lock` keeps it as it is until the transaction ends. */
export async function findFlag(
  query: SqlQuery,
  names: SqlNames,
  feature: string,
  lock = false,
): Promise<StoredFlag | undefined> {
  const { rows } = await query<{ row: unknown }>(
    `SELECT to_jsonb(t) AS row FROM ${names.table("feature_state")} AS t WHERE t.feature_name = $1${lock ? " FOR UPDATE" : ""}`,
    [feature],
  );
  return rows[0] === undefined ? undefined : parseFlagRow(rows[0].row);
}

export function noSuchFeature(feature: string): CliFailure {
  return new CliFailure(exitCodes.notFound, `no such feature: ${describeValue(feature)}`);
}
