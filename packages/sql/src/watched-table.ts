import { functionSchema, parseOptions, type Clock, type Confirmation } from "@sluice/contract";
import { z } from "zod";
import { callQuietly } from "./call-quietly.ts";
import { clockSchema } from "./clock-schema.ts";
import type { SqlDatabase } from "./database.ts";
import { sqlNames, type SqlNameOptions } from "./names.ts";
import { WatchError } from "./watch-error.ts";
import { watchTables, type WatchState } from "./watch-tables.ts";

/** How a table of ours is watched. */
export interface SqlWatchOptions {
  readonly clock: Clock;
  /** From 0, inclusive, to 1; spreads the polls of many processes. */
  readonly random: () => number;
  readonly names?: SqlNameOptions;
  /** False behind a transaction pooler, where changes are seen by polls only. Default: true. */
  readonly listen?: boolean;
  /** Between polls, ± 20 %. Default: 1000. */
  readonly pollMs?: number;
  /** Between looks whether the listening connection still answers. Default: 1000. */
  readonly heartbeatMs?: number;
  /** Once per change of state; what it throws is ignored. */
  readonly onState?: (state: WatchState) => void;
}

/** A poll that never rests would be the database's undoing. */
const interval = z.int().min(10).max(2_147_000_000).optional();
const watchShape = {
  clock: clockSchema,
  random: functionSchema,
  names: z.unknown().optional(),
  listen: z.boolean().optional(),
  pollMs: interval,
  heartbeatMs: interval,
  onState: functionSchema.optional(),
};

/** @throws ConfigError naming the option that is none, or is no such option. */
export function assertWatchOptions(where: string, options: object, more: z.ZodRawShape): void {
  parseOptions(where, z.strictObject({ ...watchShape, ...more }), options);
}

export interface WatchTableOptions extends SqlWatchOptions {
  /** By our name for it. */
  readonly table: string;
  /** Those that are read, in plain lower case, where the table has them; no other is fetched. */
  readonly columns: readonly string[];
  /**
   * All its rows as JSON objects, in any order, and the table's name for people. Called at each read of a
   * database that is no standby; where it throws, the read has failed.
   */
  readonly onRows: (rows: readonly unknown[], tableName: string) => void;
}

export interface WatchedTable {
  /** Resolves once rows were read first and are confirmed, after 10 s without, or when closed. Never rejects. */
  ready(): Promise<void>;
  /** Called at each `changed`, until the returned function or `close` ends it; what it throws is ignored. */
  onChange(listener: () => void): () => void;
  /** Tells those who listen. */
  changed(): void;
  /** When the read that was last applied was sent; minus infinity on both clocks before any was. */
  confirmedAt(): Confirmation;
  /** The code of the last read's failure, `STANDBY` where one answered; undefined once rows are confirmed again. */
  trouble(): string | undefined;
  close(): void;
}

interface Answer {
  readonly standby: unknown;
  readonly table_rows: unknown;
}

const readyMs = 10_000;
const rowsSchema = z.array(z.unknown());

/**
 * Hands out a table's rows whenever they may have changed. A standby may lag behind: what it answers is
 * no news and confirms nothing.
 * @throws ConfigError for names that are none.
 */
export function watchTable(db: SqlDatabase, options: WatchTableOptions): WatchedTable {
  const { clock, random, listen, pollMs, heartbeatMs } = options;
  const names = sqlNames(options.names);
  const table = names.table(options.table);
  const tableName = table.replaceAll('"', "");
  const statement = readStatement(table, options.columns);

  const first = Promise.withResolvers<void>();
  const listeners = new Set<() => void>();
  let closed = false;

  const watch = watchTables(db, {
    clock,
    random,
    channel: names.channel,
    listen,
    pollMs,
    heartbeatMs,
    async read(query) {
      const { rows } = await query<Answer>(statement);
      const [answer] = rows;
      if (answer?.standby !== false) throw new WatchError("STANDBY", "a standby may lag behind");
      options.onRows(rowsSchema.parse(answer.table_rows), tableName);
    },
    onState(state) {
      // The first state that is not this is told once rows are confirmed.
      if (state.state !== "unreachable") first.resolve();
      options.onState?.(state);
    },
  });
  const stopWaiting = clock.every(readyMs, () => {
    stopWaiting();
    first.resolve();
  });

  return {
    ready: () => first.promise,
    onChange(listener) {
      // Its own function, so that one that is given twice is two.
      const own = (): void => listener();
      if (!closed) listeners.add(own);
      return () => void listeners.delete(own);
    },
    changed() {
      for (const listener of listeners) callQuietly(listener);
    },
    confirmedAt: () => watch.confirmedAt(),
    trouble: () => watch.trouble(),
    close() {
      closed = true;
      watch.close();
      stopWaiting();
      listeners.clear();
      first.resolve();
    },
  };
}

/**
 * A name that the table lacks means the column of `none`, and its key is taken out again: a column that is
 * added later counts from the next read on. There is one row whatever the table holds, so an empty table
 * can't hide that a standby answers.
 */
function readStatement(table: string, columns: readonly string[]): string {
  const list = (each: (column: string) => string): string => columns.map(each).join(", ");
  return `SELECT pg_is_in_recovery() AS standby, (
      SELECT coalesce(jsonb_agg(known.columns - lacking.names), '[]'::jsonb)
      FROM (SELECT ${list((column) => `NULL AS "${column}"`)}) AS none
      CROSS JOIN LATERAL (
        SELECT jsonb_build_object(${list((column) => `'${column}', "${column}"`)}) AS columns
        FROM ${table} AS t
      ) AS known
      CROSS JOIN (
        SELECT ARRAY(
          SELECT wanted FROM unnest('{${columns.join(",")}}'::text[]) AS wanted
          WHERE NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = '${table}'::regclass AND attname = wanted AND NOT attisdropped
          )
        ) AS names
      ) AS lacking
    ) AS table_rows`;
}
