import { z } from "zod";
import type { Session } from "../cli-context.ts";
import { printTable } from "../print-table.ts";
import type { DoctorCheck } from "./doctor-check.ts";

/** A living process that is stale, or behind the table. */
export interface TroubledProcess {
  readonly instanceId: string;
  readonly applicationName: string;
  /** How old its flags were at its last beat; null before it read any. */
  readonly lagMs: number | null;
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
  /** At most 100, the first by id. */
  readonly processes: readonly TroubledProcess[];
}

/** The guard's default. */
const maxStalenessMs = 5000;

const troubledSchema = z.array(
  z.object({
    instanceId: z.string(),
    applicationName: z.string(),
    lagMs: z.number().nullable(),
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
    troubled: unknown;
  }>(
    `WITH flags AS (
       SELECT t.feature_name AS feature, (to_jsonb(t) ->> 'version')::bigint AS version
       FROM ${names.table("feature_state")} AS t
       WHERE (to_jsonb(t) ->> 'updated_at')::timestamptz
         < clock_timestamp() - $1::double precision * interval '1 millisecond'
     ), living AS (
       SELECT instance_id, application_name, lag_ms,
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
     ), troubled AS (
       SELECT * FROM living WHERE stale OR behind <> '[]' ORDER BY instance_id LIMIT 100
     )
     SELECT count(*)::integer AS alive,
       (count(*) FILTER (WHERE stale))::integer AS stale,
       (count(*) FILTER (WHERE behind <> '[]'))::integer AS behind,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
         'instanceId', instance_id, 'applicationName', application_name, 'lagMs', lag_ms,
         'stale', stale, 'behind', behind
       ) ORDER BY instance_id), '[]') FROM troubled) AS troubled
     FROM living`,
    [maxStalenessMs],
  );
  const { alive = 0, stale = 0, behind = 0, troubled = [] } = rows[0] ?? {};
  return {
    check: "processes",
    ok: stale === 0 && behind === 0,
    detail: `${String(alive)} alive, ${String(stale)} with stale flags, ${String(behind)} behind the table`,
    processes: troubledSchema.parse(troubled),
  };
}

/** Those processes as a table for people; nothing where all is well. */
export function printProcesses(processes: readonly TroubledProcess[]): string {
  if (processes.length === 0) return "";
  return `\n${printTable(
    ["process", "application", "stale", "lag ms", "behind"],
    processes.map(({ instanceId, applicationName, stale, lagMs, behind }) => [
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
