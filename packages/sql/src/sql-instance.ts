import { functionSchema, parseOptions, type Clock } from "@sluice/contract";
import { flagAgeMs } from "@sluice/policy";
import { z } from "zod";
import { callQuietly } from "./call-quietly.ts";
import { clockSchema } from "./clock-schema.ts";
import type { SqlDatabase } from "./database.ts";
import { errorCode } from "./error-code.ts";
import { sqlNames, type SqlNameOptions } from "./names.ts";
import type { SqlFlags } from "./sql-flags.ts";

/** A change of state, told once each: `failing` while the row can't be written, `beating` when it can again. */
export interface InstanceProblem {
  readonly state: "beating" | "failing";
  /** SQLSTATE or the system's code, where there is one. The error's text is left out. */
  readonly code: string | undefined;
}

export interface SqlInstanceOptions {
  readonly clock: Clock;
  /** Of this process alone, at most 128 characters: a random UUID, say. */
  readonly instanceId: string;
  readonly flags: Pick<SqlFlags, "versions" | "onChange" | "confirmedAt">;
  readonly names?: SqlNameOptions;
  /** Between writes where no flag changes. Default: 5000. */
  readonly beatMs?: number;
  /** How long `close` waits for the database. Default: 1000. */
  readonly closeMs?: number;
  /** What it throws is ignored. */
  readonly onProblem?: (problem: InstanceProblem) => void;
}

export interface SqlInstance {
  /** Ends the beats and takes the row away, where the database answers in time. Never rejects. */
  close(): Promise<void>;
}

interface Seen {
  readonly version: number;
  readonly monotonicMs: number;
}

interface Beat {
  /** There are rows of processes that are long gone. */
  readonly littered: boolean;
}

const maxFeatures = 1000;
/** What a timer of the runtime can do; some 25 days. */
const maxMs = 2_147_000_000;

const optionsSchema = z.strictObject({
  clock: clockSchema,
  instanceId: z.string().regex(/^\P{Cc}{1,128}$/u, {
    error: "1 to 128 characters, no control characters",
  }),
  flags: z.object({
    versions: functionSchema,
    onChange: functionSchema,
    confirmedAt: functionSchema,
  }),
  names: z.unknown().optional(),
  // A beat that never rests would be the database's undoing.
  beatMs: z.int().min(10).max(maxMs).optional(),
  closeMs: z.int().min(1).max(maxMs).optional(),
  onProblem: functionSchema.optional(),
});

/**
 * Keeps this process's row in `sluice_instances`: that it lives, and which version of which flag it has
 * applied. One write at a time, at each beat and after each change of the flags.
 * @throws ConfigError naming the option that is wrong, or is no such option.
 */
export function sqlInstance(db: SqlDatabase, options: SqlInstanceOptions): SqlInstance {
  parseOptions("sqlInstance", optionsSchema, options);
  const { clock, instanceId: id, flags } = options;
  const { upsert, sweep, remove } = statements(sqlNames(options.names).table("sluice_instances"));

  /** The feature that changed last stands last. */
  const seen = new Map<string, Seen>();
  let written = Promise.resolve();
  let busy = false;
  let again = false;
  let closed = false;
  let state: InstanceProblem["state"] = "beating";

  const look = (): void => {
    const versions = flags.versions();
    for (const feature of seen.keys()) if (!versions.has(feature)) seen.delete(feature);
    for (const [feature, version] of versions) {
      if (seen.get(feature)?.version === version) continue;
      seen.delete(feature);
      if (version !== undefined) seen.set(feature, { version, monotonicMs: clock.monotonicMs() });
    }
  };

  const applied = (): string => {
    const nowMs = clock.monotonicMs();
    const entries = [...seen].slice(-maxFeatures).map(([feature, { version, monotonicMs }]) => ({
      feature,
      version,
      ago_ms: nowMs - monotonicMs,
    }));
    return JSON.stringify(entries);
  };

  const lagMs = (): number | null => {
    const confirmed = flags.confirmedAt();
    if (confirmed === undefined) return 0;
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    const ageMs = flagAgeMs(confirmed, now);
    return Number.isFinite(ageMs) ? ageMs : null;
  };

  const tell = (next: InstanceProblem["state"], code?: string): void => {
    if (next === state) return;
    state = next;
    callQuietly(() => options.onProblem?.({ state: next, code }));
  };

  const write = async (): Promise<void> => {
    busy = true;
    again = false;
    try {
      const { rows } = await db.query<Beat>(upsert, [id, applied(), lagMs()]);
      if (rows[0]?.littered === true) await db.query(sweep);
      tell("beating");
    } catch (error) {
      tell("failing", errorCode(error));
    }
    busy = false;
    if (again && !closed) await write();
  };

  const beat = (): void => {
    look();
    if (!busy) written = write();
  };

  const changed = (): void => {
    look();
    if (busy) again = true;
    else written = write();
  };

  const stopBeats = clock.every(options.beatMs ?? 5000, beat);
  const stopListening = flags.onChange(changed);
  beat();

  const takeAway = async (): Promise<void> => {
    // A write that is under way would put the row back.
    await written;
    try {
      await db.query(remove, [id]);
    } catch {
      // The row is taken for dead soon, and removed by another.
    }
  };

  const close = async (): Promise<void> => {
    closed = true;
    stopBeats();
    stopListening();
    const deadline = Promise.withResolvers<void>();
    const stopDeadline = clock.after(options.closeMs ?? 1000, deadline.resolve);
    await Promise.race([takeAway(), deadline.promise]);
    stopDeadline();
  };

  let closing: Promise<void> | undefined;
  return {
    close() {
      closing ??= close();
      return closing;
    },
  };
}

interface Statements {
  readonly upsert: string;
  readonly sweep: string;
  readonly remove: string;
}

function statements(table: string): Statements {
  const longAgo = "clock_timestamp() - interval '1 hour'";
  return {
    // A version keeps the time at which it was written first.
    upsert: `WITH known AS (
        SELECT applied FROM ${table} WHERE instance_id = $1
      ), next AS (
        SELECT coalesce(jsonb_object_agg(feature, CASE
          WHEN known.applied -> feature -> 'version' = to_jsonb(version) THEN known.applied -> feature
          ELSE jsonb_build_object(
            'version', version, 'at', clock_timestamp() - ago_ms * interval '1 millisecond'
          ) END), '{}') AS applied
        FROM jsonb_to_recordset($2::jsonb) AS own (feature text, version bigint, ago_ms double precision)
        LEFT JOIN known ON true
      )
      INSERT INTO ${table} (instance_id, application_name, applied, lag_ms)
      SELECT $1, current_setting('application_name'), applied, $3::double precision FROM next
      ON CONFLICT (instance_id) DO UPDATE SET application_name = excluded.application_name,
        seen_at = clock_timestamp(), applied = excluded.applied, lag_ms = excluded.lag_ms
      RETURNING EXISTS (
        SELECT FROM ${table} WHERE seen_at < ${longAgo} AND instance_id <> $1
      ) AS littered`,
    // Apart from the upsert: two that woke at once and remove each other's row would wait for each other.
    sweep: `DELETE FROM ${table} WHERE instance_id IN (
        SELECT instance_id FROM ${table} WHERE seen_at < ${longAgo} FOR UPDATE SKIP LOCKED
      )`,
    remove: `DELETE FROM ${table} WHERE instance_id = $1`,
  };
}
