import {
  latencyEstimate,
  latencyPercentile,
  rollUpLatency,
  type ProviderLatency,
  type SqlDatabase,
} from "@sluice/sql";
import { atMost, told, type Metric } from "../result.ts";
import { percentiles } from "../stream/percentiles.ts";
import { week } from "./generate-records.ts";

export interface LatencyBounds {
  /** For the exact answer; undefined where none is asked for. */
  readonly exactMs?: number;
  readonly runs: number;
}

const percentile = 0.95;
const hourMs = 3_600_000;
const later = (date: Date, hours: number): Date => new Date(date.getTime() + hours * hourMs);

const ranges = {
  "seven days": week,
  "whole hours": { from: later(week.from, 5), to: later(week.to, -5) },
  "a ragged range": { from: later(week.from, 5.29), to: later(week.to, -5.68) },
};

/** The p95 of each provider: exact, as a user would ask, and from the rollup. */
export async function measureLatency(
  db: SqlDatabase,
  title: string,
  { exactMs, runs }: LatencyBounds,
): Promise<readonly Metric[]> {
  const exact = await timed(runs, () => latencyPercentile(db, { ...week, percentile }));
  const usual = await timed(Math.min(runs, 3), () => percentileCont(db));
  const started = performance.now();
  const { hours } = await rollUpLatency(db, { to: week.to });
  const rollingMs = performance.now() - started;
  const exactly =
    exactMs === undefined
      ? told(`${title}: exact p95`, exact.ms, "ms")
      : atMost(`${title}: exact p95`, exact.ms, "ms", exactMs);
  const metrics = [
    exactly,
    told(`${title}: percentile_cont / exact p95`, usual.ms / exact.ms, "×"),
    atMost(`${title}: exact p95 − percentile_cont`, apart(exact.answer, usual.answer), "ms", 1e-9),
    told(`${title}: rolling up ${hours} hours`, rollingMs / 1000, "s"),
  ];
  let error = 0;
  for (const [name, range] of Object.entries(ranges)) {
    const query = { ...range, percentile };
    const rolled = await timed(Math.max(runs, 5), () => latencyEstimate(db, query));
    error = Math.max(error, relative(rolled.answer, await latencyPercentile(db, query)));
    const key = `${title}: p95 by rollup, ${name}`;
    metrics.push(
      name === "a ragged range" ? told(key, rolled.ms, "ms") : atMost(key, rolled.ms, "ms", 60),
    );
  }
  return [...metrics, atMost(`${title}: error of the rollup, at most`, error * 100, "%", 1)];
}

/** What a user would write instead. */
async function percentileCont(db: SqlDatabase): Promise<readonly ProviderLatency[]> {
  const { rows } = await db.query<{ provider: string; n: number; ms: number }>(
    `SELECT selected_provider AS provider, count(*)::float8 AS n,
       percentile_cont($3::float8) WITHIN GROUP (ORDER BY latency_ms) AS ms
     FROM ai_training_examples WHERE created_at >= $1 AND created_at < $2
     GROUP BY selected_provider ORDER BY selected_provider`,
    [week.from, week.to, percentile],
  );
  return rows.map(({ provider, n, ms }) => ({ provider, count: n, latencyMs: ms }));
}

/** The median after a run that warms up, and the last answer. */
async function timed<Answer>(
  runs: number,
  ask: () => Promise<Answer>,
): Promise<{ readonly ms: number; readonly answer: Answer }> {
  let answer = await ask();
  const taken: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const started = performance.now();
    answer = await ask();
    taken.push(performance.now() - started);
  }
  return { ms: percentiles(taken).p50, answer };
}

function apart(one: readonly ProviderLatency[], other: readonly ProviderLatency[]): number {
  return largest(one, other, (a, b) => Math.abs(a - b));
}

function relative(
  estimated: readonly ProviderLatency[],
  exact: readonly ProviderLatency[],
): number {
  return largest(estimated, exact, (a, b) => Math.abs(a - b) / b);
}

function largest(
  one: readonly ProviderLatency[],
  other: readonly ProviderLatency[],
  distance: (a: number, b: number) => number,
): number {
  if (one.length !== other.length) return Infinity;
  return Math.max(
    ...one.map(({ provider, count, latencyMs }) => {
      const same = other.find((each) => each.provider === provider && each.count === count);
      return same === undefined ? Infinity : distance(latencyMs, same.latencyMs);
    }),
  );
}
