import type { SqlQuery } from "@sluice/sql";
import type { Session } from "./cli-context.ts";
import { quoteLiteral } from "./quote-literal.ts";
import { delay } from "./verify-applied.ts";
import { runsAtOnce, type ProbeClient } from "./verify-probe.ts";
import { counted, type Step } from "./verify-step.ts";

/** All tables of our migrations. */
export const ourTables: readonly string[] = [
  "ai_provider_configs",
  "ai_training_examples",
  "feature_state",
  "flag_audit",
  "flag_audit_head",
  "flag_changes",
  "flag_names",
  "latency_days",
  "latency_hours",
  "latency_rolled_up",
  "metric_windows",
  "sluice_instances",
  "sluice_migrations",
];

/**
 * A server process tells what it wrote at most once a second, and what it then still owes when it was
 * idle for ten. Source: PostgreSQL, pgstat.c, PGSTAT_MIN_INTERVAL and PGSTAT_IDLE_INTERVAL.
 */
const owedMs = 11_000;
const betweenReadsMs = 500;

type Writes = ReadonlyMap<string, string>;

/** Of each table that is not ours, how often it was written to. */
export interface ForeignWrites {
  readonly sql: string;
  readonly before: Writes;
}

export function foreignWritesSql({ nameOptions }: Session): string {
  const { schema = "public", prefix = "", flagTable } = nameOptions;
  const ours =
    prefix === ""
      ? `relname IN (${ourTables.map(quoteLiteral).join(", ")})`
      : `starts_with(relname, ${quoteLiteral(prefix)})`;
  const own = flagTable === undefined ? ours : `(${ours} OR relname = ${quoteLiteral(flagTable)})`;
  return `SELECT schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables WHERE NOT (schemaname = ${quoteLiteral(schema)} AND ${own})`;
}

export async function readForeignWrites(session: Session): Promise<ForeignWrites> {
  const sql = foreignWritesSql(session);
  return { sql, before: await readWrites(session.db.query, sql) };
}

async function readWrites(query: SqlQuery, sql: string): Promise<Writes> {
  const { rows } = await query(sql);
  return new Map(
    rows.map((row) => [
      `${String(row["schemaname"])}.${String(row["relname"])}`,
      `${String(row["n_tup_ins"])} inserted, ${String(row["n_tup_upd"])} updated, ${String(row["n_tup_del"])} deleted`,
    ]),
  );
}

/** No table that is not ours was written to since, while the app ran. */
export async function verifyIsolation(
  { db }: Session,
  probe: ProbeClient,
  { sql, before }: ForeignWrites,
  subjects: readonly string[],
  canRun: boolean,
  signal: AbortSignal,
): Promise<Step> {
  // Of those who are in and those who are out.
  const ran = canRun ? await probe.run(subjects.slice(0, runsAtOnce)) : undefined;
  const until = performance.now() + owedMs;
  let changed: readonly string[] = [];
  while (changed.length === 0) {
    const now = await readWrites(db.query, sql);
    changed = [...now].flatMap(([table, writes]) =>
      writes === (before.get(table) ?? none)
        ? []
        : [`${table} (${writes}; before: ${before.get(table) ?? none})`],
    );
    if (performance.now() > until) break;
    signal.throwIfAborted();
    await delay(betweenReadsMs);
  }
  const load = ran === undefined ? "; nothing was run: the app gave no sample" : "";
  const good = `${counted(before.size, "table")} of others, none written to, the last ${owedMs / 1000} s waited for included${load}`;
  return {
    step: "isolation",
    ok: changed.length === 0,
    detail:
      changed.length === 0
        ? good
        : `written to meanwhile, by the app or by others: ${changed.slice(0, 5).join(", ")}`,
    figures: { tables: before.size, changed: changed.length },
    sql,
  };
}

const none = "0 inserted, 0 updated, 0 deleted";
