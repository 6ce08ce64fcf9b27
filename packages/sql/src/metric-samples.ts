import {
  type AdmissionVerdict,
  type CheckSample,
  type CircuitSample,
  failureCodes,
  type MetricSample,
  type OutcomeSample,
  Reason,
  type ResponseSample,
} from "@sluice/contract";
import { addToHistogram, type LogHistogram } from "@sluice/policy";
import { increment } from "./increment.ts";
import { checkOutcomes } from "./metric-checks.ts";
import { addMeasures } from "./metric-measures.ts";
import { parityMeasures } from "./metric-parity.ts";
import type { MetricSeries } from "./metric-series.ts";

const outcomes: ReadonlySet<string> = new Set(["SUCCEEDED", "STUBBED", "FAILED", "REJECTED"]);
const wouldBe: ReadonlySet<string> = new Set(Object.values(checkOutcomes));
const codes: ReadonlySet<string> = new Set(failureCodes);
const reasons: ReadonlySet<string> = new Set(Object.values(Reason));
const verdicts: ReadonlySet<string> = new Set(["allow", "reject", "would_reject", "indeterminate"]);

/** A sample that belongs to a series. */
export type SeriesSample = Exclude<MetricSample, CircuitSample>;

/** False for a response whose status is none of HTTP's: there is nothing to count it by. */
export function isCountable(sample: SeriesSample): boolean {
  if (sample.kind !== "response") return true;
  return Number.isInteger(sample.status) && sample.status >= 100 && sample.status <= 599;
}

/**
 * Gives back how many of the sample's values were not taken: a code that is none, a number that is not
 * finite, a measure beyond 32, a member beyond 64 or one that is no plain word.
 */
export function addSample(series: MetricSeries, sample: SeriesSample): number {
  switch (sample.kind) {
    case "outcome":
      return addOutcome(series, sample);
    case "response":
      return addResponse(series, sample);
    case "check":
      return addCheck(series, sample);
    case "parity":
      return addMeasures(series, parityMeasures(sample.figures));
  }
}

function addOutcome(series: MetricSeries, sample: OutcomeSample): number {
  let refused = addKnown(series.outcomes, outcomes, sample.outcome);
  refused += addKnown(series.failures, codes, sample.code);
  // What the gates of a shadow said came with its check.
  if (sample.arm !== "shadow") refused += addVerdicts(series, sample);
  refused += addTime(series.latencyMs, sample.latencyMs);
  refused += addTime(series.firstContentMs, sample.firstContentMs);
  for (const waitMs of sample.queueMs) refused += addTime(series.queueMs, waitMs);
  if (sample.fallbackUsed) series.fallbacks += 1;
  series.inputTokens = addWhole(series.inputTokens, sample.inputTokens);
  series.outputTokens = addWhole(series.outputTokens, sample.outputTokens);
  series.costNanoUsd = addWhole(series.costNanoUsd, sample.costNanoUsd);
  return refused + addMeasures(series, sample.measures);
}

function addResponse(series: MetricSeries, { status, firstByteMs }: ResponseSample): number {
  increment(series.http, status);
  return addTime(series.firstByteMs, firstByteMs);
}

function addCheck(series: MetricSeries, sample: CheckSample): number {
  const outcome = checkOutcomes[sample.effect] ?? "";
  return addKnown(series.outcomes, wouldBe, outcome) + addVerdicts(series, sample);
}

/** Why it was diverted or rejected, and what admission said. */
function addVerdicts(
  series: MetricSeries,
  { reason, admission }: Pick<OutcomeSample, "reason" | "admission">,
): number {
  let refused = addKnown(series.reasons, reasons, reason);
  for (const verdict of admission) if (!addVerdict(series, verdict)) refused += 1;
  return refused;
}

function addVerdict(series: MetricSeries, { verdict, reason }: AdmissionVerdict): boolean {
  if (!verdicts.has(verdict) || (reason !== undefined && !reasons.has(reason))) return false;
  increment(series.admission, reason === undefined ? verdict : `${verdict}.${reason}`);
  return true;
}

/** 1 where the key is there and none of those known. */
function addKnown(
  counts: Map<string, number>,
  known: ReadonlySet<string>,
  key: string | undefined,
): number {
  if (key === undefined) return 0;
  if (!known.has(key)) return 1;
  increment(counts, key);
  return 0;
}

function addTime(histogram: LogHistogram, ms: number | undefined): number {
  if (ms === undefined) return 0;
  if (!Number.isFinite(ms)) return 1;
  addToHistogram(histogram, ms);
  return 0;
}

/** A sum stays a whole number that JavaScript and a bigint both hold. */
function addWhole(sum: number, value: number | undefined): number {
  if (value === undefined || !(value >= 0)) return sum;
  return Math.min(sum + Math.round(value), Number.MAX_SAFE_INTEGER);
}
