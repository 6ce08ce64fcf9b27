import { isDeepStrictEqual } from "node:util";
import type { FeatureFlags, FlagSource } from "@sluice/contract";
import {
  flagVariableNames,
  flagsOf,
  narrowest,
  parseEnvFlags,
  type FlagVariableNames,
  type RawFlags,
  type Variables,
} from "@sluice/policy";
import { z } from "zod";
import type { SqlDatabase } from "./database.ts";
import { flagColumns, readFlagRows, type FlagRow } from "./read-flag-rows.ts";
import { switchesOf, switchVariables } from "./switch-rows.ts";
import { assertWatchOptions, watchTable, type SqlWatchOptions } from "./watched-table.ts";

export interface SqlFlagsOptions extends SqlWatchOptions {
  /** The table is the single truth: no variable is read at all, the gateway's switches included. */
  readonly exclusive?: boolean;
  /**
   * The environment, `process.env` say, read live; it may kill and narrow, never widen. Of the chat gateway's
   * switches it says those that have no row. Default: none.
   */
  readonly variables?: Variables;
}

export interface SqlFlags extends FlagSource {
  /** Resolves once flags were read first, after 10 s without, or when closed. Never rejects. */
  ready(): Promise<void>;
  /**
   * The code of the last read that failed (an SQLSTATE, the system's, or `TIMEOUT`, `STANDBY`, `UNKNOWN`);
   * undefined once flags are confirmed again, and before the first read has ended.
   */
  trouble(): string | undefined;
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

const nothing: Variables = {};

/**
 * Flags from the table `feature_state`, or another that has `feature_name`, `enabled` and
 * `rollout_percent`. Until its first read, and for features without a row, everything is disabled. While
 * the table can't be read, or only on a standby, which may lag behind, its flags grow stale.
 * @throws ConfigError for names that are none.
 */
export function sqlFlags(db: SqlDatabase, options: SqlFlagsOptions): SqlFlags {
  assertWatchOptions("sqlFlags", options, {
    exclusive: z.boolean().optional(),
    variables: z.unknown().optional(),
  });
  const { exclusive = false } = options;
  const variables = exclusive ? nothing : (options.variables ?? nothing);
  const absent = flagsOf("absent", nothing);
  const combined = new Map<string, Combined>();
  let rows: ReadonlyMap<string, Known> = new Map();
  let switchRows = nothing;

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
    switchRows = switchVariables((feature) => next.get(feature)?.flags);
    if (changed) table.changed();
  };

  const table = watchTable(db, {
    ...options,
    table: "feature_state",
    columns: flagColumns,
    onRows: (read, tableName) => apply(readFlagRows(tableName, read)),
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
    readSwitches: () => switchesOf(switchRows, variables),
    confirmedAt: () => table.confirmedAt(),
    trouble: () => table.trouble(),
    onChange: (listener) => table.onChange(listener),
    versions: () => new Map([...rows].map(([feature, { row }]) => [feature, row.flags.version])),
    ready: () => table.ready(),
    close: () => table.close(),
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
  // A list that the environment alone brings may ask for more, and let nobody skip the percentage.
  const isOwnList = row.allowlist === undefined && environment.allowlist !== undefined;
  return row.settling === undefined && !isOwnList ? flags : { ...flags, settling: true };
}
