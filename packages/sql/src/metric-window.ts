import { type MetricArm, metricArms } from "@sluice/contract";
import { createSeries, type MetricSeries } from "./metric-series.ts";

/** A window's length. Its start is a whole multiple of it. */
export const windowMs = 10_000;

/** What happened in one process within 10 seconds, or within a part of them. */
export interface MetricWindow {
  readonly startMs: number;
  /** Over 0 for time that the wall clock shows once more, after it stepped back. */
  readonly part: number;
  /** Samples that it took. */
  samples: number;
  /** Samples that are in the database, or counted as lost. */
  settled: number;
  /** The series of the sample, made where it is new; undefined where it may not be. */
  seriesOf(feature: string, arm: MetricArm, provider: string): MetricSeries | undefined;
  series(): readonly MetricSeries[];
}

type ByArm = Readonly<Partial<Record<MetricArm, MetricSeries>>>;

const featureName = /^[a-z][a-z0-9_]{0,62}$/;
const providerName = /^[^\p{C}\p{Zl}\p{Zp}]{0,128}$/u;

export function startOfWindow(wallMs: number): number {
  return Math.floor(wallMs / windowMs) * windowMs;
}

/** Has at most `maxSeries` series, each of them under names that the table takes. */
export function createMetricWindow(startMs: number, part: number, maxSeries: number): MetricWindow {
  const list: MetricSeries[] = [];
  const byFeature = new Map<string, Map<string, ByArm>>();

  const seriesOf = (
    feature: string,
    arm: MetricArm,
    provider: string,
  ): MetricSeries | undefined => {
    const known = byFeature.get(feature)?.get(provider)?.[arm];
    if (known !== undefined) return known;
    if (list.length >= maxSeries || !isNamed(feature, arm, provider)) return undefined;
    const series = createSeries(feature, arm, provider);
    const byProvider = byFeature.get(feature) ?? new Map<string, ByArm>();
    byFeature.set(feature, byProvider);
    byProvider.set(provider, { ...byProvider.get(provider), [arm]: series });
    list.push(series);
    return series;
  };

  return { startMs, part, samples: 0, settled: 0, seriesOf, series: () => list };
}

/** Whether the table takes the names. */
export function isNamed(feature: string, arm: MetricArm, provider: string): boolean {
  return featureName.test(feature) && metricArms.includes(arm) && providerName.test(provider);
}
