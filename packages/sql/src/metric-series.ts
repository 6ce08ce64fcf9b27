import type { MetricArm } from "@sluice/contract";
import { emptyLogHistogram, type LogHistogram } from "@sluice/policy";

/** What was reported under the name of one declared measure. */
export interface MeasureSeries {
  /** Of the numbers. */
  sum: number;
  /** How many numbers. */
  count: number;
  readonly histogram: LogHistogram;
  /** How often each member of an enum, `true` and `false` came. */
  readonly members: Map<string, number>;
}

/** The figures of one feature, arm and provider in one window. */
export interface MetricSeries {
  readonly feature: string;
  readonly arm: MetricArm;
  /** Empty where no provider was called. */
  readonly provider: string;
  readonly outcomes: Map<string, number>;
  readonly failures: Map<string, number>;
  readonly reasons: Map<string, number>;
  /** By `allow`, `reject.<REASON>`, `would_reject.<REASON>`, `indeterminate.<REASON>`. */
  readonly admission: Map<string, number>;
  readonly http: Map<number, number>;
  readonly latencyMs: LogHistogram;
  readonly firstContentMs: LogHistogram;
  readonly firstByteMs: LogHistogram;
  readonly queueMs: LogHistogram;
  readonly measures: Map<string, MeasureSeries>;
  fallbacks: number;
  inputTokens: number;
  outputTokens: number;
  costNanoUsd: number;
  circuitOpenMs: number;
}

export function createSeries(feature: string, arm: MetricArm, provider: string): MetricSeries {
  return {
    feature,
    arm,
    provider,
    outcomes: new Map(),
    failures: new Map(),
    reasons: new Map(),
    admission: new Map(),
    http: new Map(),
    latencyMs: emptyLogHistogram(),
    firstContentMs: emptyLogHistogram(),
    firstByteMs: emptyLogHistogram(),
    queueMs: emptyLogHistogram(),
    measures: new Map(),
    fallbacks: 0,
    inputTokens: 0,
    outputTokens: 0,
    costNanoUsd: 0,
    circuitOpenMs: 0,
  };
}
