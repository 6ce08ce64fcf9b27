import { histogramQuantile, samplesNeeded, type LogHistogram } from "@sluice/policy";
import type { ParityTotals, Tally } from "@sluice/sql";
import { rateOf, type Rate } from "./shadow-rate.ts";

/** Comparisons that are still needed; `never` where more of the same would not do. */
export type Needed = number | "never";

export interface FieldAgreement extends Rate {
  readonly field: string;
  readonly needed: Needed;
}

export interface Quantiles {
  readonly samples: number;
  readonly p10: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
}

/** How mirrored answers compare with the legacy handler's. */
export interface ShadowParity {
  readonly comparisons: number;
  readonly legacyValid: Rate;
  readonly mirrorValid: Rate;
  readonly fields: readonly FieldAgreement[];
  /** The most that any field needs; null without a field. */
  readonly needed: Needed | null;
  /** In characters, the mirror's less the legacy's. */
  readonly lengthDifference: Quantiles;
  readonly latencyDifferenceMs: Quantiles;
  readonly similarity: Quantiles;
}

/** @param promoteAt what the lower end of each field's interval has to reach */
export function shadowParity(totals: ParityTotals, promoteAt: number): ShadowParity {
  const { legacyValid, mirrorValid, equal } = totals;
  const fields = [...equal]
    .map(([field, tally]) => toAgreement(field, tally, promoteAt))
    .toSorted((a, b) => (a.field < b.field ? -1 : 1));
  return {
    comparisons: legacyValid.yes + legacyValid.no,
    legacyValid: rateOfTally(legacyValid),
    mirrorValid: rateOfTally(mirrorValid),
    fields,
    needed: mostNeeded(fields),
    lengthDifference: quantilesOf(totals.lengthDifference.histogram),
    latencyDifferenceMs: quantilesOf(totals.latencyDifferenceMs.histogram),
    similarity: quantilesOf(totals.similarity.histogram),
  };
}

const rateOfTally = ({ yes, no }: Tally): Rate => rateOf(yes, yes + no);

function toAgreement(field: string, { yes, no }: Tally, promoteAt: number): FieldAgreement {
  const needed = samplesNeeded(yes, yes + no, promoteAt) ?? 0;
  return { field, ...rateOf(yes, yes + no), needed: needed === Infinity ? "never" : needed };
}

function mostNeeded(fields: readonly FieldAgreement[]): Needed | null {
  const needs = fields.map(({ needed }) => (needed === "never" ? Infinity : needed));
  if (needs.length === 0) return null;
  const most = Math.max(...needs);
  return most === Infinity ? "never" : most;
}

function quantilesOf(histogram: LogHistogram): Quantiles {
  const at = (q: number): number | null => histogramQuantile(histogram, q) ?? null;
  return { samples: histogram.count, p10: at(0.1), p50: at(0.5), p95: at(0.95) };
}
