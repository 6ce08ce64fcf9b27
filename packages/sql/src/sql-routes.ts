import {
  functionSchema,
  type FlagProblem,
  type ProviderConfig,
  type RouteSource,
} from "@sluice/contract";
import { z } from "zod";
import { callQuietly } from "./call-quietly.ts";
import type { SqlDatabase } from "./database.ts";
import {
  keyOf,
  parseProviderRows,
  providerColumns,
  type ColumnProblem,
} from "./parse-provider-rows.ts";
import { assertWatchOptions, watchTable, type SqlWatchOptions } from "./watched-table.ts";

export interface SqlRoutesOptions extends SqlWatchOptions {
  /** Rows of other environments are left out. Default: none is; a guard takes those of its own. */
  readonly environment?: string;
  /** Rows of other providers are left out. Default: none is, and a guard refuses a provider that it lacks. */
  readonly providers?: readonly string[];
  /** What stands until the table was read, so that an application starts while its database is away. */
  readonly initial?: readonly ProviderConfig[];
  /** Once per change that leaves a row malformed; holds no value of it. What it throws is ignored. */
  readonly onProblem?: (problem: FlagProblem) => void;
}

export interface SqlRoutes extends RouteSource {
  /** Resolves once the table was read first, after 10 s without, or when closed. Never rejects. */
  ready(): Promise<void>;
  /** The first malformed column of the rows that were read last; empty when all are well. */
  problems(): readonly FlagProblem[];
  /** Called after a change became readable. */
  onChange(listener: () => void): () => void;
  /** Stops watching; reads go on answering. */
  close(): void;
}

/**
 * The rows of `ai_provider_configs` as the candidates of a route, live. A malformed row keeps the last
 * good rows, but for whom the newer ones plainly disable: to narrow is always allowed. While the table
 * can't be read, or only on a standby, which may lag behind, they stay.
 * @throws ConfigError for names that are none.
 */
export function sqlRoutes(db: SqlDatabase, options: SqlRoutesOptions): SqlRoutes {
  assertWatchOptions("sqlRoutes", options, {
    environment: z.string().optional(),
    providers: z.array(z.string()).optional(),
    initial: z.array(z.unknown()).optional(),
    onProblem: functionSchema.optional(),
  });
  const { environment, providers, onProblem } = options;
  let rows: readonly ProviderConfig[] = options.initial ?? [];
  let problems: readonly FlagProblem[] = [];
  let appliedText: string | undefined;

  const apply = (read: readonly unknown[], tableName: string): void => {
    const text = toText(read);
    if (text === appliedText) return;
    appliedText = text;
    const { configs, problem, disabled } = parseProviderRows(read, { environment, providers });
    const next = configs ?? withoutDisabled(rows, disabled);
    const nextProblems = problem === undefined ? [] : [toFlagProblem(tableName, problem)];
    if (!isSame(nextProblems, problems)) problems = nextProblems;
    for (const told of problems) callQuietly(() => onProblem?.(told));
    // A row of another environment, say, changes no route.
    if (isSame(next, rows)) return;
    rows = next;
    table.changed();
  };

  const table = watchTable(db, {
    ...options,
    table: "ai_provider_configs",
    columns: providerColumns,
    onRows: apply,
  });

  return {
    name: "sql",
    read: () => rows,
    problems: () => problems,
    ready: () => table.ready(),
    onChange: (listener) => table.onChange(listener),
    close: () => table.close(),
  };
}

const toFlagProblem = (tableName: string, { column, expected }: ColumnProblem): FlagProblem => ({
  variable: `${tableName}.${column}`,
  expected,
  readAs: "the last good route",
});

/** The same for the same rows in another order. */
const toText = (rows: readonly unknown[]): string =>
  JSON.stringify(rows.map((row) => JSON.stringify(row)).toSorted());

const withoutDisabled = (
  rows: readonly ProviderConfig[],
  disabled: ReadonlySet<string>,
): readonly ProviderConfig[] =>
  rows.map((row) => (disabled.has(keyOf(row)) ? { ...row, enabled: false } : row));

const isSame = (one: unknown, other: unknown): boolean =>
  JSON.stringify(one) === JSON.stringify(other);
