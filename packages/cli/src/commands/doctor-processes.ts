import { z } from "zod";
import type { Session } from "../cli-context.ts";
import { printTable } from "../print-table.ts";
import type { DoctorCheck } from "./doctor-check.ts";

/** A living process; in trouble where it is stale, or behind the table in some feature. */
export interface LivingProcess {
  readonly instanceId: string;
  readonly applicationName: string;
  /** Its last beat, by the server's clock in UTC. */
  readonly seenAt: string;
  /** How old its flags were at its last beat; null before it read any. */
  readonly lagMs: number | null;
  /** The version that it has of each feature. */
  readonly applied: Readonly<Record<string, number>>;
  readonly stale: boolean;
  readonly behind: readonly FeatureBehind[];
}

export interface FeatureBehind {
  readonly feature: string;
  /** What it has; null where it has not heard of the feature. */
  readonly applied: number | null;
  /** What the table has. */
  readonly version: number;
}

export interface ProcessesCheck extends DoctorCheck {
  /** How many live; undefined where nobody could tell. */
  readonly alive?: number;
  /** At most 100, those in trouble before others, by their last beat from the newest. */
  readonly processes: readonly LivingProcess[];
}

/** The guard's default. */
const maxStalenessMs = 5000;

const listedSchema = z.array(
  z.object({
    instanceId: z.string(),
    applicationName: z.string(),
    seenAt: z.string(),
    lagMs: z.number().nullable(),
    applied: z.record(z.string(), z.int()),
    stale: z.boolean(),
    behind: z.array(
      z.object({ feature: z.string(), applied: z.int().nullable(), version: z.int() }),
    ),
  }),
);

/** Of each process that lives: are its flags fresh, and has it the versions of the table? */
export async function checkProcesses({ db, names }: Session): Promise<ProcessesCheck> {
  const table = names.table("sluice_instances");
  const found = await db.query<{ there: boolean; allowed: boolean | null }>(
    "SELECT to_regclass($1) IS NOT NULL AS there, has_table_privilege(to_regclass($1), 'SELECT') AS allowed",
    [table],
  );
  const { there = false, allowed = null } = found.rows[0] ?? {};
  if (!there) return notTold(`no table of processes in ${names.schema}`);
  if (allowed !== true) return notTold("the role may not read which processes live");
  // A change gets as long to arrive as flags may be unconfirmed. A process tells of 1000 features.
  const { rows } = await db.query<{
    alive: number;
    stale: number;
    behind: number;
    listed: unknown;
  }>(
    `WITH flags AS (
       SELECT t.feature_name AS feature, (to_jsonb(t) ->> 'version')::bigint AS version
       FROM ${names.table("feature_state")} AS t
       WHERE (to_jsonb(t) ->> 'updated_at')::timestamptz
         < clock_timestamp() - $1::double precision * interval '1 millisecond'
     ), living AS (
       SELECT instance_id, application_name, seen_at, applied, lag_ms,
         lag_ms IS NULL OR lag_ms > $1::double precision AS stale,
         coalesce((
           SELECT jsonb_agg(jsonb_build_object(
             'feature', feature, 'applied', (applied -> feature ->> 'version')::bigint, 'version', version
           ) ORDER BY feature)
           FROM flags
           WHERE (applied -> feature ->> 'version')::bigint < version
             OR (NOT applied ? feature AND (SELECT count(*) FROM jsonb_object_keys(applied)) < 1000)
         ), '[]') AS behind
       FROM ${table} WHERE seen_at > clock_timestamp() - interval '15 seconds'
     ), listed AS (
       SELECT * FROM living ORDER BY stale OR behind <> '[]' DESC, seen_at DESC, instance_id LIMIT 100
     )
     SELECT count(*)::integer AS alive,
       (count(*) FILTER (WHERE stale))::integer AS stale,
       (count(*) FILTER (WHERE behind <> '[]'))::integer AS behind,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
         'instanceId', instance_id, 'applicationName', application_name,
         'seenAt', to_char(seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
         'lagMs', lag_ms, 'stale', stale, 'behind', behind, 'applied', (
           SELECT coalesce(jsonb_object_agg(feature, has -> 'version'), '{}')
           FROM jsonb_each(applied) AS told (feature, has) WHERE has ? 'version'
         )
       ) ORDER BY seen_at DESC, instance_id), '[]') FROM listed) AS listed
     FROM living`,
    [maxStalenessMs],
  );
  const { alive = 0, stale = 0, behind = 0, listed = [] } = rows[0] ?? {};
  return {
    check: "processes",
    ok: stale === 0 && behind === 0,
    detail: `${String(alive)} alive, ${String(stale)} with stale flags, ${String(behind)} behind the table`,
    alive,
    processes: listedSchema.parse(listed),
  };
}

/** Those of them in trouble as a table for people; nothing where all is well. */
export function printProcesses(processes: readonly LivingProcess[]): string {
  const troubled = processes.filter(({ stale, behind }) => stale || behind.length > 0);
  if (troubled.length === 0) return "";
  return `\n${printTable(
    ["process", "application", "stale", "lag ms", "behind"],
    troubled.map(({ instanceId, applicationName, stale, lagMs, behind }) => [
      instanceId,
      applicationName,
      stale,
      lagMs === null ? "never read" : Math.round(lagMs),
      describeBehind(behind),
    ]),
  )}`;
}

const shownFeatures = 3;

/** `slotgen_ai has 41 of 42` */
function describeBehind(behind: readonly FeatureBehind[]): string {
  const more = behind.length - shownFeatures;
  return [
    ...behind
      .slice(0, shownFeatures)
      .map(
        ({ feature, applied, version }) =>
          `${feature} has ${applied === null ? "none" : String(applied)} of ${String(version)}`,
      ),
    ...(more > 0 ? [`and ${String(more)} more`] : []),
  ].join(", ");
}

function notTold(detail: string): ProcessesCheck {
  return { check: "processes", ok: true, detail, processes: [] };
}
