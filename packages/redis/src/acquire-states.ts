import {
  admissionDimensions,
  type AdmissionAsk,
  type AdmissionDimension,
  type AdmissionState,
  type BudgetUse,
} from "@sluice/contract";
import { budgetStanding } from "@sluice/policy";
import { modeOf, noLimit, type Policies } from "./policies.ts";

/** What a script counted, by each policy's place; a candidate's is skipped. */
export interface Counts {
  readonly inFlight: (place: number) => number;
  /** How far the rate's arrival time is ahead of now, in milliseconds. */
  readonly aheadMs: (place: number) => number;
  readonly used: (place: number) => BudgetUse;
}

/** Redis tells how far ahead a rate is to the microsecond. */
const roundingMs = 0.001;

/** Each dimension that has a limit, in the order of dimensions. */
export function statesOf(
  { inFlight, rates, budgets }: Omit<Policies, "shares">,
  ask: AdmissionAsk | undefined,
  counts: Counts,
  dayEndsInMs: number,
  nowMs: number,
): readonly AdmissionState[] {
  const states: AdmissionState[] = [];
  for (const [place, policy] of inFlight.entries()) {
    const { dimension, limit, isCandidate } = policy;
    if (isCandidate || limit === noLimit) continue;
    const remaining = Math.max(0, limit - counts.inFlight(place));
    // Nothing tells when a place becomes free.
    states.push({ dimension, mode: modeOf(policy, ask), limit, remaining, resetMs: 0 });
  }
  for (const [place, policy] of rates.entries()) {
    const { dimension, burst, emissionMs, isCandidate } = policy;
    if (isCandidate) continue;
    const toleranceMs = emissionMs * burst;
    const resetMs = Math.min(Math.max(0, counts.aheadMs(place)), toleranceMs);
    // As the last of a burst is let through: each of them rounds.
    const slackMs = roundingMs + Number.EPSILON * (nowMs + toleranceMs) * (burst + 1);
    const leftMs = toleranceMs - resetMs + Math.min(slackMs, emissionMs / 2);
    const remaining = Math.min(burst, Math.floor(leftMs / emissionMs));
    states.push({ dimension, mode: modeOf(policy, ask), limit: burst, remaining, resetMs });
  }
  for (const [place, policy] of budgets.entries()) {
    states.push({
      dimension: policy.dimension,
      mode: modeOf(policy, ask),
      ...budgetStanding(policy.caps, counts.used(place)),
      resetMs: Math.max(0, dayEndsInMs),
    });
  }
  return states.toSorted(byDimension);
}

/** In the order of dimensions; of one dimension, as they came. */
export const byDimension = (
  a: { readonly dimension: AdmissionDimension },
  b: { readonly dimension: AdmissionDimension },
): number => orderOf(a.dimension) - orderOf(b.dimension);

const orderOf = (dimension: AdmissionDimension): number => admissionDimensions.indexOf(dimension);
