import { randomUUID } from "node:crypto";
import { oneLine } from "@sluice/contract";
import { systemClock } from "@sluice/guard";
import type { SqlDatabase } from "@sluice/sql";
import { Command } from "commander";
import type { CliContext, Session } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { printTable } from "../print-table.ts";

interface Check {
  readonly check: "connect" | "migrated" | "writable" | "listen" | "processes";
  readonly ok: boolean;
  readonly detail: string;
}

const objects = ["feature_state", "flag_audit", "flag_changes", "sluice_migrations"] as const;
const listenTimeoutMs = 3000;
/** The guard's default. */
const maxStalenessMs = 5000;

export function doctorCommand(context: CliContext): Command {
  return new Command("doctor")
    .description(
      "can it connect, is it migrated, may it write, can it LISTEN, are the processes up to date; exit code 1 where not",
    )
    .addHelpText("after", "\nExample:\n  sluice doctor --json\n")
    .action(() =>
      context.withSession(async (session) => {
        // A database that can't be reached is exit code 3, as for every command.
        const checks = [
          await checkConnect(session),
          await checkMigrated(session),
          await checkWritable(session),
          await checkListen(session.db),
          await checkProcesses(session),
        ];
        const ok = checks.every((check) => check.ok);
        context.show({ ok, checks }, () =>
          printTable(
            ["check", "ok", "detail"],
            checks.map(({ check, ok: isOk, detail }) => [check, isOk, detail]),
          ),
        );
        if (!ok) {
          const failed = checks.filter((check) => !check.ok).map(({ check }) => check);
          throw new CliFailure(exitCodes.checkFailed, `not ready: ${failed.join(", ")}`);
        }
      }),
    );
}

async function checkConnect({ db }: Session): Promise<Check> {
  const { rows } = await db.query<{ role: string; version: string }>(
    "SELECT session_user::text AS role, current_setting('server_version') AS version",
  );
  return {
    check: "connect",
    ok: true,
    detail: `PostgreSQL ${rows[0]?.version ?? "?"} as ${rows[0]?.role ?? "?"}`,
  };
}

async function checkMigrated({ db, names }: Session): Promise<Check> {
  const { rows } = await db.query<{ name: string }>(
    "SELECT name FROM unnest($1::text[], $2::text[]) AS wanted (name, found) WHERE to_regclass(found) IS NULL",
    [objects, objects.map((name) => names.table(name))],
  );
  return {
    check: "migrated",
    ok: rows.length === 0,
    detail:
      rows.length === 0
        ? `tables stand in ${names.schema}`
        : `missing in ${names.schema}: ${rows.map(({ name }) => name).join(", ")}; run sluice migrate`,
  };
}

async function checkWritable({ db, names }: Session): Promise<Check> {
  const table = names.table("feature_state");
  const { rows } = await db.query<{ replica: boolean; allowed: boolean | null }>(
    `SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS replica,
       has_any_column_privilege(to_regclass($1), 'UPDATE') AS allowed`,
    [table],
  );
  const { replica = true, allowed = null } = rows[0] ?? {};
  const ok = !replica && allowed === true;
  const reason = replica ? "read-only, as a standby is" : "the role may not update flags";
  return { check: "writable", ok, detail: ok ? "flags can be changed" : reason };
}

/** Of each process that lives: are its flags fresh, and has it the versions of the table? */
async function checkProcesses({ db, names }: Session): Promise<Check> {
  const table = names.table("sluice_instances");
  const found = await db.query<{ there: boolean }>("SELECT to_regclass($1) IS NOT NULL AS there", [
    table,
  ]);
  if (found.rows[0]?.there !== true) {
    return { check: "processes", ok: true, detail: `no table of processes in ${names.schema}` };
  }
  // A change gets as long to arrive as flags may be unconfirmed.
  const { rows } = await db.query<{ alive: number; stale: number; behind: number }>(
    `WITH living AS (
       SELECT applied, lag_ms FROM ${table} WHERE seen_at > clock_timestamp() - interval '15 seconds'
     )
     SELECT count(*)::integer AS alive,
       (count(*) FILTER (WHERE lag_ms IS NULL OR lag_ms > $1::double precision))::integer AS stale,
       (count(*) FILTER (WHERE EXISTS (
         SELECT FROM ${names.table("feature_state")} AS t
         WHERE (to_jsonb(t) ->> 'updated_at')::timestamptz
             < clock_timestamp() - $1::double precision * interval '1 millisecond'
           AND (living.applied -> t.feature_name ->> 'version')::bigint
             < (to_jsonb(t) ->> 'version')::bigint
       )))::integer AS behind
     FROM living`,
    [maxStalenessMs],
  );
  const { alive = 0, stale = 0, behind = 0 } = rows[0] ?? {};
  return {
    check: "processes",
    ok: stale === 0 && behind === 0,
    detail: `${String(alive)} alive, ${String(stale)} with stale flags, ${String(behind)} behind the table`,
  };
}

/** A channel of its own, so that no reader of flags is woken. */
async function checkListen(db: SqlDatabase): Promise<Check> {
  const channel = `sluice_doctor_${randomUUID().replaceAll("-", "")}`;
  const heard = Promise.withResolvers<string>();
  const cancel = systemClock.after(listenTimeoutMs, () =>
    heard.resolve("nothing was heard; behind a transaction pooler flags are polled only"),
  );
  try {
    const listener = await db.listen(channel, {
      onNotify: () => heard.resolve(""),
      onEnd: () => heard.resolve("the connection ended"),
    });
    try {
      await db.query("SELECT pg_notify($1, '')", [channel]);
      const fault = await heard.promise;
      return {
        check: "listen",
        ok: fault === "",
        detail: fault === "" ? "NOTIFY is heard" : fault,
      };
    } finally {
      listener.close();
    }
  } catch (error) {
    const detail = error instanceof Error ? oneLine(error.message) : "failed";
    return { check: "listen", ok: false, detail };
  } finally {
    cancel();
  }
}
