import type { FeatureFlags, FlagProblem } from "@sluice/contract";
import { z } from "zod";

/** What one row of the flag table says. */
export interface FlagRow {
  readonly feature: string;
  readonly flags: FeatureFlags;
  /** Milliseconds since the epoch by the database's clock; undefined where the table has no such column. */
  readonly updatedAtMs: number | undefined;
}

/** The columns that a row's flags are read of; a table may have others, and lack most of these. */
export const flagColumns: readonly string[] = [
  "feature_name",
  "enabled",
  "rollout_percent",
  "killed",
  "allowlist",
  "salt",
  "version",
  "updated_at",
];

const rowSchema = z.looseObject({ feature_name: z.string() });
const enabledSchema = z.boolean();
const percentSchema = z.int().min(0).max(100);
const killedSchema = z.boolean().default(false);
const allowlistSchema = z.array(z.string()).nullish();
const saltSchema = z.string().nullish();
const versionSchema = z.int().min(0);
const updatedAtSchema = z.string();

/**
 * The rows of a flag table as JSON objects, each read with the safest meaning: a malformed value closes
 * its feature, and the problem names the column but never the value. Columns but `feature_name`, `enabled`
 * and `rollout_percent` may be missing. A row without a name in text is nobody's; features that stand in
 * more than one row are closed.
 */
export function readFlagRows(table: string, rows: unknown): ReadonlyMap<string, FlagRow> {
  const byFeature = new Map<string, FlagRow>();
  for (const value of z.array(z.unknown()).parse(rows)) {
    const parsed = rowSchema.safeParse(value);
    if (!parsed.success) continue;
    const row = readRow(table, parsed.data);
    const { feature } = row;
    byFeature.set(feature, byFeature.has(feature) ? ambiguous(table, row) : row);
  }
  return byFeature;
}

function readRow(table: string, row: z.output<typeof rowSchema>): FlagRow {
  const feature = row.feature_name;
  const problems: FlagProblem[] = [];
  const column = <S extends z.ZodType>(
    name: string,
    schema: S,
    expected: string,
    safest: z.output<S>,
    readAs: string,
  ): z.output<S> => {
    const parsed = schema.safeParse(row[name]);
    if (parsed.success) return parsed.data;
    problems.push({ variable: `${table}.${name}`, expected, readAs });
    return safest;
  };
  const enabled = column("enabled", enabledSchema, "true or false", false, "false");
  const percent = column("rollout_percent", percentSchema, "an integer from 0 to 100", 0, "0");
  const killed = column("killed", killedSchema, "true or false", true, "true");
  const allowlist = column("allowlist", allowlistSchema, "an array of texts", [], "nobody");
  // Nobody knows who is meant by the buckets of another salt.
  const salt = column("salt", saltSchema, "a text", undefined, "the feature's name, for nobody");
  const saltFault = problems.at(-1)?.variable === `${table}.salt`;
  const updatedAt = updatedAtSchema.safeParse(row["updated_at"]).data;
  return {
    feature,
    flags: {
      enabled,
      killed,
      percent: saltFault ? 0 : percent,
      allowlist: allowlist ?? undefined,
      salt: salt ?? feature,
      version: versionSchema.safeParse(row["version"]).data,
      problems,
    },
    updatedAtMs: updatedAt === undefined ? undefined : Date.parse(updatedAt),
  };
}

function ambiguous(table: string, row: FlagRow): FlagRow {
  return {
    ...row,
    flags: {
      ...row.flags,
      enabled: false,
      problems: [
        { variable: `${table}.feature_name`, expected: "one row per feature", readAs: "disabled" },
      ],
    },
  };
}
