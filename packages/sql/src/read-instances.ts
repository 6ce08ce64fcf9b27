import type { Clock } from "@sluice/contract";
import type { SqlDatabase } from "./database.ts";
import { sqlNames, type SqlNameOptions } from "./names.ts";

export interface ReadInstancesOptions {
  readonly feature: string;
  /** At least this version counts as applied. */
  readonly version: number;
  readonly names?: SqlNameOptions;
  /** A process that was not seen for longer counts as dead; three beats or more. Default: 15 000. */
  readonly aliveMs?: number;
}

/** How many living processes have applied a version of a feature. */
export interface AppliedInstances {
  readonly alive: number;
  readonly applied: number;
  /**
   * From the change's statement, so with its commit, to the last process that applied it. Undefined where
   * none did that had started before, or where the row has another version by now.
   */
  readonly slowestMs: number | undefined;
}

export interface AwaitAppliedOptions extends ReadInstancesOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
}

export interface AwaitedInstances extends AppliedInstances {
  /** Every living process has applied it, and at least one lives. */
  readonly complete: boolean;
}

interface Answer {
  readonly alive: number;
  readonly applied: number;
  readonly slowest_ms: number | null;
}

const pollMs = 20;

/** @throws ConfigError for names that are none; rejects with the database's error. */
export async function readInstances(
  db: SqlDatabase,
  options: ReadInstancesOptions,
): Promise<AppliedInstances> {
  const { feature, version, aliveMs = 15_000 } = options;
  const names = sqlNames(options.names);
  const { rows } = await db.query<Answer>(
    `WITH living AS (
      SELECT started_at, (applied -> $1 ->> 'version')::bigint AS version,
        (applied -> $1 ->> 'at')::timestamptz AS at
      FROM ${names.table("sluice_instances")}
      WHERE seen_at > clock_timestamp() - $3::double precision * interval '1 millisecond'
    ), change AS (
      SELECT max((to_jsonb(t) ->> 'updated_at')::timestamptz) AS at
      FROM ${names.table("feature_state")} AS t
      WHERE feature_name = $1 AND (to_jsonb(t) ->> 'version')::bigint = $2::bigint
    )
    SELECT count(*)::integer AS alive,
      (count(*) FILTER (WHERE living.version >= $2::bigint))::integer AS applied,
      (max(greatest(0, extract(epoch FROM living.at - change.at) * 1000)) FILTER (
        WHERE living.version >= $2::bigint AND living.started_at <= change.at
      ))::double precision AS slowest_ms
    FROM living CROSS JOIN change`,
    [feature, version, aliveMs],
  );
  const [answer] = rows;
  return {
    alive: answer?.alive ?? 0,
    applied: answer?.applied ?? 0,
    slowestMs: answer?.slowest_ms ?? undefined,
  };
}

/**
 * Reads until every living process has applied the version, or until the time is over; a read under way
 * is waited for. Where no process lives there is nobody to wait for.
 * @throws ConfigError for names that are none; rejects with the database's error.
 */
export async function awaitApplied(
  db: SqlDatabase,
  options: AwaitAppliedOptions,
): Promise<AwaitedInstances> {
  const { clock, timeoutMs } = options;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const read = await readInstances(db, options);
    const complete = read.alive > 0 && read.applied === read.alive;
    if (complete || read.alive === 0 || clock.monotonicMs() >= deadlineMs) {
      return { ...read, complete };
    }
    const next = Promise.withResolvers<void>();
    clock.after(pollMs, next.resolve);
    await next.promise;
  }
}
