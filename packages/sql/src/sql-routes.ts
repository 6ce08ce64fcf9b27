import type { Clock, FlagProblem, ProviderConfig, RouteSource } from "@sluice/contract";
import { z } from "zod";
import { callQuietly } from "./call-quietly.ts";
import type { SqlDatabase } from "./database.ts";
import { sqlNames, type SqlNameOptions } from "./names.ts";
import { keyOf, parseProviderRows } from "./parse-provider-rows.ts";
import { watchTables, WatchError, type WatchState } from "./watch-tables.ts";

export interface SqlRoutesOptions {
  readonly clock: Clock;
  /** From 0, inclusive, to 1; spreads the polls of many processes. */
  readonly random: () => number;
  readonly names?: SqlNameOptions;
  /** Rows of other environments are left out. Default: none is; a guard takes those of its own. */
  readonly environment?: string;
  /** Rows of other providers are left out. Default: none is, and a guard refuses a provider that it lacks. */
  readonly providers?: readonly string[];
  /** What stands until the table was read, so that an application starts while its database is away. */
  readonly initial?: readonly ProviderConfig[];
  /** False behind a transaction pooler, where changes are seen by polls only. Default: true. */
  readonly listen?: boolean;
  /** Between polls, ± 20 %. Default: 1000. */
  readonly pollMs?: number;
  /** Between looks whether the listening connection still answers. Default: 1000. */
  readonly heartbeatMs?: number;
  /** Once per change that leaves a row malformed; holds no value of it. What it throws is ignored. */
  readonly onProblem?: (problem: FlagProblem) => void;
  /** Once per change of state; what it throws is ignored. */
  readonly onState?: (state: WatchState) => void;
}

export interface SqlRoutes extends RouteSource {
  /** Resolves once the table was read first, after 10 s without, or when closed. Never rejects. */
  ready(): Promise<void>;
  /** Called after a change became readable. */
  onChange(listener: () => void): () => void;
  /** Stops watching; reads go on answering. */
  close(): void;
}

const readyMs = 10_000;
const answerSchema = z.object({ standby: z.boolean(), configs: z.array(z.unknown()) });

/**
 * The rows of `ai_provider_configs` as the candidates of a route, live. A malformed row keeps the last
 * good rows, but for whom the newer ones plainly disable: to narrow is always allowed. While the table
 * can't be read, or only on a standby, which may lag behind, they stay.
 * @throws ConfigError for names that are none.
 */
export function sqlRoutes(db: SqlDatabase, options: SqlRoutesOptions): SqlRoutes {
  const { clock, environment, providers, onProblem } = options;
  const names = sqlNames(options.names);
  const table = names.table("ai_provider_configs");
  const tableName = table.replaceAll('"', "");
  const statement = `SELECT pg_is_in_recovery() AS standby,
    (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]'::jsonb) FROM ${table} AS t) AS configs`;

  let rows: readonly ProviderConfig[] = options.initial ?? [];
  let appliedText: string | undefined;
  let closed = false;
  const listeners = new Set<() => void>();
  const first = Promise.withResolvers<void>();

  const apply = (read: readonly unknown[]): void => {
    const text = toText(read);
    if (text === appliedText) return;
    appliedText = text;
    const { configs, problem, disabled } = parseProviderRows(read, { environment, providers });
    if (problem !== undefined) {
      const { column, expected } = problem;
      const told = { variable: `${tableName}.${column}`, expected, readAs: "the last good route" };
      callQuietly(() => onProblem?.(told));
    }
    const next = configs ?? withoutDisabled(rows, disabled);
    // A column that nobody reads, `updated_at` say, changes no route.
    if (JSON.stringify(next) === JSON.stringify(rows)) return;
    rows = next;
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
      const { rows: answer } = await query(statement);
      const { standby, configs } = answerSchema.parse(answer[0]);
      if (standby) throw new WatchError("STANDBY", "a standby may lag behind");
      apply(configs);
      first.resolve();
    },
    ...(options.onState === undefined ? {} : { onState: options.onState }),
  });
  const stopWaiting = clock.every(readyMs, () => {
    stopWaiting();
    first.resolve();
  });

  return {
    name: "sql",
    read: () => rows,
    ready: () => first.promise,
    onChange(listener) {
      // Its own function, so that one that is given twice is two.
      const own = (): void => listener();
      if (!closed) listeners.add(own);
      return () => void listeners.delete(own);
    },
    close() {
      closed = true;
      watch.close();
      stopWaiting();
      listeners.clear();
      first.resolve();
    },
  };
}

/** The same for the same rows in another order. */
const toText = (rows: readonly unknown[]): string =>
  JSON.stringify(rows.map((row) => JSON.stringify(row)).toSorted());

const withoutDisabled = (
  rows: readonly ProviderConfig[],
  disabled: ReadonlySet<string>,
): readonly ProviderConfig[] =>
  rows.map((row) => (disabled.has(keyOf(row)) ? { ...row, enabled: false } : row));
