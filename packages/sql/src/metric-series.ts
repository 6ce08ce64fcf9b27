import {
  failureCodes,
  type MetricArm,
  type OutcomeSample,
  Reason,
  type ResponseSample,
} from "@sluice/contract";
import { addToHistogram, emptyLogHistogram, type LogHistogram } from "@sluice/policy";

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
  readonly queueMs: LogHistogram;
  readonly measures: Map<string, MeasureSeries>;
  fallbacks: number;
  inputTokens: number;
  outputTokens: number;
  costNanoUsd: number;
  circuitOpenMs: number;
}

const outcomes: ReadonlySet<string> = new Set(["SUCCEEDED", "STUBBED", "FAILED", "REJECTED"]);
const codes: ReadonlySet<string> = new Set(failureCodes);
const reasons: ReadonlySet<string> = new Set(Object.values(Reason));
const verdicts: ReadonlySet<string> = new Set(["allow", "reject", "would_reject", "indeterminate"]);

const maxMeasures = 32;
const maxMembers = 64;
const measureName = /^[a-z][A-Za-z0-9_]{0,62}$/;
/** A word, so that no prose can pass for a member. */
const memberName = /^[A-Za-z0-9_-]{1,64}$/;

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
    queueMs: emptyLogHistogram(),
    measures: new Map(),
    fallbacks: 0,
    inputTokens: 0,
    outputTokens: 0,
    costNanoUsd: 0,
    circuitOpenMs: 0,
  };
}

/** False where the status is none of HTTP's. */
export function addResponse(series: MetricSeries, { status }: ResponseSample): boolean {
  if (!Number.isInteger(status) || status < 100 || status > 599) return false;
  increment(series.http, status);
  return true;
}

/**
 * Gives back how many of the sample's values were not taken: a code that is none, a number that is not
 * finite, a measure beyond 32, a member beyond 64 or one that is no plain word.
 */
export function addOutcome(series: MetricSeries, sample: OutcomeSample): number {
  let refused = 0;
  if (outcomes.has(sample.outcome)) increment(series.outcomes, sample.outcome);
  else refused += 1;
  if (sample.code !== undefined) {
    if (codes.has(sample.code)) increment(series.failures, sample.code);
    else refused += 1;
  }
  if (sample.reason !== undefined) {
    if (reasons.has(sample.reason)) increment(series.reasons, sample.reason);
    else refused += 1;
  }
  for (const { verdict, reason } of sample.admission) {
    if (!verdicts.has(verdict) || (reason !== undefined && !reasons.has(reason))) refused += 1;
    else increment(series.admission, reason === undefined ? verdict : `${verdict}.${reason}`);
  }
  refused += addTime(series.latencyMs, sample.latencyMs);
  if (sample.firstContentMs !== undefined) {
    refused += addTime(series.firstContentMs, sample.firstContentMs);
  }
  for (const waitMs of sample.queueMs) refused += addTime(series.queueMs, waitMs);
  if (sample.fallbackUsed) series.fallbacks += 1;
  series.inputTokens = addWhole(series.inputTokens, sample.inputTokens);
  series.outputTokens = addWhole(series.outputTokens, sample.outputTokens);
  series.costNanoUsd = addWhole(series.costNanoUsd, sample.costNanoUsd);
  for (const name of Object.keys(sample.measures)) {
    const value = sample.measures[name];
    if (value !== undefined && !addMeasure(series, name, value)) refused += 1;
  }
  return refused;
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function addTime(histogram: LogHistogram, ms: number): number {
  if (!Number.isFinite(ms)) return 1;
  addToHistogram(histogram, ms);
  return 0;
}

/** A sum stays a whole number that JavaScript and a bigint both hold. */
function addWhole(sum: number, value: number | undefined): number {
  if (value === undefined || !(value >= 0)) return sum;
  return Math.min(sum + Math.round(value), Number.MAX_SAFE_INTEGER);
}

function addMeasure(series: MetricSeries, name: string, value: number | boolean | string): boolean {
  if (typeof value === "number" ? !Number.isFinite(value) : !memberName.test(String(value))) {
    return false;
  }
  const measure = series.measures.get(name) ?? startMeasure(series, name);
  if (measure === undefined) return false;
  if (typeof value === "number") {
    measure.sum = clamp(measure.sum + value);
    measure.count += 1;
    addToHistogram(measure.histogram, value);
    return true;
  }
  const member = String(value);
  if (measure.members.size >= maxMembers && !measure.members.has(member)) return false;
  increment(measure.members, member);
  return true;
}

function startMeasure(series: MetricSeries, name: string): MeasureSeries | undefined {
  if (series.measures.size >= maxMeasures || !measureName.test(name)) return undefined;
  const measure = { sum: 0, count: 0, histogram: emptyLogHistogram(), members: new Map() };
  series.measures.set(name, measure);
  return measure;
}

/** JSON has no infinity. */
function clamp(sum: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, sum));
}
