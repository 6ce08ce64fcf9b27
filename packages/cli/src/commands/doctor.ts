import { systemClock } from "@sluice/guard";
import { Command } from "commander";
import type { CliContext, Session } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { printTable } from "../print-table.ts";
import type { DoctorCheck } from "./doctor-check.ts";
import { checkClock } from "./doctor-clock.ts";
import { checkListen } from "./doctor-listen.ts";
import { checkMigrated } from "./doctor-migrations.ts";
import { checkProcesses, printProcesses } from "./doctor-processes.ts";

export function doctorCommand(context: CliContext): Command {
  return new Command("doctor")
    .description(
      "can it connect, is it migrated, may it write, can it LISTEN, are the processes up to date; exit code 1 where not",
    )
    .addHelpText("after", "\nExample:\n  sluice doctor --json\n")
    .action(() =>
      context.withSession(async (session) => {
        // A database that can't be reached is exit code 3, as for every command.
        const others = [
          await checkConnect(session),
          await checkMigrated(session),
          await checkWritable(session),
          await checkListen(session, systemClock),
          await checkClock(session, systemClock),
        ];
        const processes = await checkProcesses(session);
        const checks = [...others, processes];
        const ok = checks.every((check) => check.ok);
        context.show(
          { ok, checks },
          () =>
            printTable(
              ["check", "ok", "detail"],
              checks.map(({ check, ok: isOk, detail }) => [check, isOk, detail]),
            ) + printProcesses(processes.processes),
        );
        if (!ok) {
          const failed = checks.filter((check) => !check.ok).map(({ check }) => check);
          throw new CliFailure(exitCodes.checkFailed, `not ready: ${failed.join(", ")}`);
        }
      }),
    );
}

async function checkConnect({ db }: Session): Promise<DoctorCheck> {
  const { rows } = await db.query<{ role: string; version: string }>(
    "SELECT session_user::text AS role, current_setting('server_version') AS version",
  );
  return {
    check: "connect",
    ok: true,
    detail: `PostgreSQL ${rows[0]?.version ?? "?"} as ${rows[0]?.role ?? "?"}`,
  };
}

async function checkWritable({ db, names }: Session): Promise<DoctorCheck> {
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
