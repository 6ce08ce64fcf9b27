import { isDeepStrictEqual } from "node:util";
import type { Clock, FeatureFlags, FlagSource } from "@sluice/contract";
import {
  flagVariableNames,
  flagsOf,
  narrowest,
  parseEnvFlags,
  parseSwitches,
  type FlagVariableNames,
  type RawFlags,
  type Variables,
} from "@sluice/policy";
import { callQuietly } from "./call-quietly.ts";
import type { SqlDatabase } from "./database.ts";
import { sqlNames, type SqlNameOptions } from "./names.ts";
import { readFlagRows, type FlagRow } from "./read-flag-rows.ts";
import { watchTables, WatchError, type WatchState } from "./watch-tables.ts";

export interface SqlFlagsOptions {
  readonly clock: Clock;
  /** From 0, inclusive, to 1; spreads the polls of many processes. */
  readonly random: () => number;
  readonly names?: SqlNameOptions;
  /** The table is the single truth: no variable is read at all, the gateway's switches included. */
  readonly exclusive?: boolean;
  /** The environment, `process.env` say, read live; it may kill and narrow, never widen. Default: none. */
  readonly variables?: Variables;
  /** False behind a transaction pooler, where changes are seen by polls only. Default: true. */
  readonly listen?: boolean;
  /** Between polls, ± 20 %. Default: 1000. */
  readonly pollMs?: number;
  /** Between looks whether the listening connection still answers. Default: 1000. */
  readonly heartbeatMs?: number;
  /** Once per change of state; what it throws is ignored. */
  readonly onState?: (state: WatchState) => void;
}

export interface SqlFlags extends FlagSource {
  /** Resolves once flags were read first, after 10 s without, or when closed. Never rejects. */
  ready(): Promise<void>;
  /** The version of each row that reads answer from; undefined where the row has none. */
  versions(): ReadonlyMap<string, number | undefined>;
}

/** A row that is believed, and the flags that are read of it. */
interface Known {
  readonly row: FlagRow;
  readonly flags: FeatureFlags;
}

interface Combined {
  readonly names: FlagVariableNames;
  readonly row: FeatureFlags;
  readonly raw: RawFlags;
  readonly flags: FeatureFlags;
}

const readyMs = 10_000;
const nothing: Variables = {};

/**
 * Flags from the table `feature_state`, or another that has `feature_name`, `enabled` and
 * `rollout_percent`. Until its first read, and for features without a row, everything is disabled. While
 * the table can't be read, or only on a standby, which may lag behind, its flags grow stale.
 * @throws ConfigError for names that are none.
 */
export function sqlFlags(db: SqlDatabase, options: SqlFlagsOptions): SqlFlags {
  const { clock, exclusive = false } = options;
  const variables = exclusive ? nothing : (options.variables ?? nothing);
  const names = sqlNames(options.names);
  const table = names.table("feature_state");
  const tableName = table.replaceAll('"', "");
  // One row whatever the table holds, so an empty table can't hide that a standby answers.
  const text = `SELECT pg_is_in_recovery() AS standby,
    (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]'::jsonb) FROM ${table} AS t) AS flag_rows`;

  let rows: ReadonlyMap<string, Known> = new Map();
  const combined = new Map<string, Combined>();
  const listeners = new Set<() => void>();
  const waiting = new Set<() => void>();
  const absent = flagsOf("absent", nothing);
  let isReady = false;
  let closed = false;

  const becomeReady = (): void => {
    isReady = true;
    for (const resolve of waiting) resolve();
    waiting.clear();
  };

  const apply = (seen: ReadonlyMap<string, FlagRow>): void => {
    const next = new Map<string, Known>();
    let changed = seen.size !== rows.size;
    for (const [feature, row] of seen) {
      const known = rows.get(feature);
      const taken = known === undefined ? { row, flags: row.flags } : succeeding(known, row);
      if (taken.flags !== known?.flags) changed = true;
      next.set(feature, taken);
    }
    rows = next;
    if (!changed) return;
    for (const listener of listeners) callQuietly(listener);
  };

  const watch = watchTables(db, {
    clock,
    random: options.random,
    channel: names.channel,
    listen: options.listen ?? true,
    pollMs: options.pollMs ?? 1000,
    heartbeatMs: options.heartbeatMs ?? 1000,
    async read(query) {
      const { rows: answer } = await query<{ standby: unknown; flag_rows: unknown }>(text);
      const [only] = answer;
      if (only?.standby !== false) throw new WatchError("STANDBY", "a standby may lag behind");
      apply(readFlagRows(tableName, only.flag_rows));
      becomeReady();
    },
    ...(options.onState === undefined ? {} : { onState: options.onState }),
  });
  const stopWaiting = clock.every(readyMs, () => {
    stopWaiting();
    becomeReady();
  });

  return {
    name: "sql",
    read(feature) {
      const row = rows.get(feature)?.flags;
      if (exclusive) return row ?? absent;
      const cached = combined.get(feature);
      const variableNames = cached?.names ?? flagVariableNames(feature);
      const kill = variables[variableNames.kill];
      const percent = variables[variableNames.percent];
      const allowlist = variables[variableNames.allowlist];
      // Closed in any case; only a kill is worth a word.
      if (row === undefined && kill === undefined) return absent;
      const base = row ?? absent;
      if (
        cached !== undefined &&
        cached.row === base &&
        cached.raw.kill === kill &&
        cached.raw.percent === percent &&
        cached.raw.allowlist === allowlist
      ) {
        return cached.flags;
      }
      const raw = { enabled: undefined, kill, percent, allowlist };
      const flags = narrowed(feature, base, raw);
      combined.set(feature, { names: variableNames, row: base, raw, flags });
      return flags;
    },
    readSwitches: () => parseSwitches(variables),
    confirmedAt: () => watch.confirmedAt(),
    onChange(listener) {
      const own = (): void => listener();
      if (!closed) listeners.add(own);
      return () => void listeners.delete(own);
    },
    versions: () => new Map([...rows].map(([feature, { row }]) => [feature, row.flags.version])),
    ready: () =>
      new Promise((resolve) => {
        if (isReady) resolve();
        else waiting.add(resolve);
      }),
    close() {
      closed = true;
      watch.close();
      stopWaiting();
      listeners.clear();
      becomeReady();
    },
  };
}

/**
 * What counts after `known`, with the same flags where nothing changed. A lower version that was not written
 * later is no successor: a backup, or a server that lost commits, answers. It may narrow, not widen.
 */
function succeeding(known: Known, row: FlagRow): Known {
  const believed = isOlder(row, known.row) ? known.row : row;
  const flags = believed === row ? row.flags : narrowest(believed.flags, row.flags);
  return { row: believed, flags: isDeepStrictEqual(flags, known.flags) ? known.flags : flags };
}

function isOlder(row: FlagRow, than: FlagRow): boolean {
  const { version } = row.flags;
  if (version === undefined || than.flags.version === undefined) return false;
  if (version >= than.flags.version) return false;
  // Deleted and created again between two reads.
  const isLater = (row.updatedAtMs ?? Number.NaN) > (than.updatedAtMs ?? Number.NaN);
  return !isLater;
}

/** What the environment lets pass of a row's flags; unset is no opinion. */
function narrowed(feature: string, row: FeatureFlags, raw: RawFlags): FeatureFlags {
  if (raw.kill === undefined && raw.percent === undefined && raw.allowlist === undefined) {
    return row;
  }
  const environment = parseEnvFlags(feature, raw);
  const { settling: _, ...flags } = narrowest(row, {
    ...environment,
    enabled: row.enabled,
    problems: [...row.problems, ...environment.problems],
  });
  return row.settling === undefined ? flags : { ...flags, settling: row.settling };
}
