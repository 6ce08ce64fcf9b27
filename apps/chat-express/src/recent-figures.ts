import { latencyPercentile, readMetricWindows, type SqlDatabase } from "@sluice/sql";

/** What every process of the fleet wrote of the last minutes; numbers and names only. */
export interface RecentFigures {
  readonly minutes: number;
  readonly arms: readonly ArmFigures[];
  /** By who answered. */
  readonly p95: readonly { readonly provider: string; readonly latencyMs: number }[];
}

export interface ArmFigures {
  readonly arm: string;
  /** By outcome. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** By the status that was sent. */
  readonly http: Readonly<Record<string, number>>;
}

const minutes = 10;

/** Windows are written once they are over, so the figures are some seconds old. */
export async function recentFigures(db: SqlDatabase, feature: string): Promise<RecentFigures> {
  const to = new Date();
  const from = new Date(to.getTime() - minutes * 60_000);
  const [totals, latencies] = await Promise.all([
    readMetricWindows(db, { feature, from, to }),
    latencyPercentile(db, { from, to, percentile: 0.95 }),
  ]);
  const arms = new Map<string, ArmFigures>();
  for (const { arm, outcomes, http } of totals) {
    const known = arms.get(arm);
    arms.set(arm, {
      arm,
      outcomes: added(known?.outcomes, outcomes),
      http: added(known?.http, http),
    });
  }
  return {
    minutes,
    arms: [...arms.values()],
    p95: latencies.map(({ provider, latencyMs }) => ({ provider, latencyMs })),
  };
}

function added(
  known: Readonly<Record<string, number>> = {},
  counts: ReadonlyMap<string | number, number>,
): Readonly<Record<string, number>> {
  const sums = { ...known };
  for (const [key, count] of counts) sums[key] = (sums[key] ?? 0) + count;
  return sums;
}
