import type { SqlDatabase } from "./database.ts";

export interface ReadBlockersOptions {
  /** Of the server process that waits, as `pg_backend_pid()` tells it there. */
  readonly pid: number;
}

/** Who holds the lock that another waits for. */
export interface Blocker {
  /** What `pg_terminate_backend` ends; 0 is a prepared transaction, which `pg_prepared_xacts` names. */
  readonly pid: number;
  /** Undefined for a prepared transaction, and for one of the server's own processes. */
  readonly role: string | undefined;
  readonly applicationName: string | undefined;
  /**
   * When its transaction began, in UTC as ISO 8601. Undefined where we may not see it: of another role it
   * takes `pg_read_all_stats`.
   */
  readonly since: string | undefined;
}

interface Answer {
  readonly pid: number;
  readonly role: string | null;
  readonly application_name: string | null;
  readonly since: string | null;
}

// Whoever stands before us in the queue for a lock blocks us too, but to end it would not help.
const statement = `WITH RECURSIVE ahead (pid) AS (
    SELECT unnest(pg_blocking_pids($1::integer))
    UNION
    SELECT unnest(pg_blocking_pids(pid)) FROM ahead
  )
  SELECT ahead.pid, activity.usename::text AS role, activity.application_name,
    to_char(activity.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since
  FROM ahead LEFT JOIN pg_stat_activity AS activity ON activity.pid = ahead.pid
  WHERE pg_blocking_pids(ahead.pid) = '{}' AND (ahead.pid = 0 OR activity.pid IS NOT NULL)
  ORDER BY activity.xact_start NULLS LAST, ahead.pid`;

/**
 * Who keeps a server process waiting for a lock and waits for nobody, the longest transaction first; none
 * where it does not wait. Asked on another connection than the one that waits. Rejects with the database's
 * error.
 */
export async function readBlockers(
  db: SqlDatabase,
  { pid }: ReadBlockersOptions,
): Promise<readonly Blocker[]> {
  const { rows } = await db.query<Answer>(statement, [pid]);
  return rows.map((row) => ({
    pid: row.pid,
    role: row.role ?? undefined,
    applicationName: row.application_name ?? undefined,
    since: row.since ?? undefined,
  }));
}
