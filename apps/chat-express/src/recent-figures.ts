import { histogramQuantile } from "@sluice/policy";
import { readInstances, readMetricWindows, type MetricTotals, type SqlDatabase } from "@sluice/sql";

/** What every process of the fleet wrote of the last minutes; numbers and names only. */
export interface RecentFigures {
  readonly minutes: number;
  /** By arm and by the provider that was the first choice. */
  readonly arms: readonly ArmFigures[];
  /** Null where the table has no row of the feature. */
  readonly fleet: FleetFigures | null;
}

export interface ArmFigures {
  readonly arm: string;
  /** Empty where none was called. */
  readonly provider: string;
  readonly requests: number;
  /** From 0 to 1, of those that a model was to answer; null for the other arms. */
  readonly succeededShare: number | null;
  /** Within 1 %; null where nothing was measured. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  /** By `allow`, `reject.<REASON>`, `would_reject.<REASON>`, `indeterminate.<REASON>`. */
  readonly admission: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
  /** By the status that was sent. */
  readonly http: Readonly<Record<string, number>>;
}

/** Who has heard of the feature's row. */
export interface FleetFigures {
  /** Of the row. */
  readonly version: number;
  /** Processes that were seen of late. */
  readonly alive: number;
  /** Of them, those that follow that version. */
  readonly applied: number;
  /** From the change to the last process that followed it; null where that can't be told. */
  readonly slowestMs: number | null;
}

const minutes = 10;

/**
 * Windows are written once they are over, so the arms are some seconds old.
 * Rejects with the database's error.
 */
export async function recentFigures(db: SqlDatabase, feature: string): Promise<RecentFigures> {
  const to = new Date();
  const from = new Date(to.getTime() - minutes * 60_000);
  const [totals, fleet] = await Promise.all([
    readMetricWindows(db, { feature, from, to }),
    readFleet(db, feature),
  ]);
  return { minutes, arms: totals.map(toArm), fleet };
}

function toArm(totals: MetricTotals): ArmFigures {
  const { arm, provider, outcomes, http, admission, latencyMs } = totals;
  const ended = sum(outcomes);
  // Whom authentication turned away has no outcome, and an answer all the same.
  const requests = arm === "none" ? Math.max(ended, sum(http)) : ended;
  const isOfModel = arm === "ai" || arm === "shadow";
  return {
    arm,
    provider,
    requests,
    succeededShare: isOfModel && ended > 0 ? (outcomes.get("SUCCEEDED") ?? 0) / ended : null,
    p50Ms: histogramQuantile(latencyMs, 0.5) ?? null,
    p95Ms: histogramQuantile(latencyMs, 0.95) ?? null,
    admission: Object.fromEntries(admission),
    outcomes: Object.fromEntries(outcomes),
    http: Object.fromEntries(http),
  };
}

async function readFleet(db: SqlDatabase, feature: string): Promise<FleetFigures | null> {
  const { rows } = await db.query<{ readonly version: number }>(
    "SELECT version FROM feature_state WHERE feature_name = $1",
    [feature],
  );
  const version = rows[0]?.version;
  if (version === undefined) return null;
  const { alive, applied, slowestMs = null } = await readInstances(db, { feature, version });
  return { version, alive, applied, slowestMs };
}

function sum(counts: ReadonlyMap<unknown, number>): number {
  return [...counts.values()].reduce((all, count) => all + count, 0);
}
