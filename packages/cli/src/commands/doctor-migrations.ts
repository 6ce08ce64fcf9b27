import { readMigrations, type MigrationsRead } from "@sluice/sql";
import type { Session } from "../cli-context.ts";
import type { DoctorCheck } from "./doctor-check.ts";

export interface MigratedCheck extends DoctorCheck {
  /** Undefined where the role may not read which ran. */
  readonly migrations?: MigrationsRead;
}

const objects = ["feature_state", "flag_audit", "flag_changes", "sluice_migrations"] as const;

/** Are our tables there, and do they come from the files that this program carries? */
export async function checkMigrated({ db, names, nameOptions }: Session): Promise<MigratedCheck> {
  const { rows } = await db.query<{ name: string }>(
    "SELECT name FROM unnest($1::text[], $2::text[]) AS wanted (name, found) WHERE to_regclass(found) IS NULL",
    [objects, objects.map((name) => names.table(name))],
  );
  const lacking = rows.map(({ name }) => name);
  const migrations = lacking.includes("sluice_migrations")
    ? undefined
    : await readMigrations(db, { names: nameOptions }).catch(whereReadable);
  if (lacking.length > 0) {
    return {
      check: "migrated",
      ok: false,
      detail: `missing in ${names.schema}: ${lacking.join(", ")}; run sluice migrate`,
      ...(migrations !== undefined && { migrations }),
    };
  }
  if (migrations === undefined) {
    return {
      check: "migrated",
      ok: true,
      detail: `tables stand in ${names.schema}; the role may not read which migrations ran`,
    };
  }
  return { check: "migrated", ...judge(migrations, names.schema), migrations };
}

function judge(
  { applied, missing, differing, unknown }: MigrationsRead,
  schema: string,
): { readonly ok: boolean; readonly detail: string } {
  const faults = [
    ...(missing.length > 0 ? [`not applied: ${missing.join(", ")}; run sluice migrate`] : []),
    ...(differing.length > 0 ? [`not the files that ran: ${differing.join(", ")}`] : []),
  ];
  // A newer database serves an older program: it is told of, and no fault.
  const newer = unknown.length > 0 ? [`newer than this program: ${unknown.join(", ")}`] : [];
  const whole = faults.length === 0 ? [`${String(applied.length)} migrations in ${schema}`] : [];
  return { ok: faults.length === 0, detail: [...whole, ...faults, ...newer].join("; ") };
}

function whereReadable(error: unknown): undefined {
  if ((error as { code?: unknown }).code !== "42501") throw error;
}
