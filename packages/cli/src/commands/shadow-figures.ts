import type { CheckEffect, MetricTotals } from "@sluice/sql";
import { shadowParity, type ShadowParity } from "./shadow-parity.ts";
import { rateOf, sharesOf, type Rate, type Share } from "./shadow-rate.ts";

/** What admission would have refused for one reason. */
export interface WouldBlock extends Rate {
  readonly name: string;
}

/** What a gateway saw while the legacy handler answered. */
export interface ShadowFigures {
  /** That the shadow's gates were asked about. */
  readonly requests: number;
  readonly effects: Readonly<Record<CheckEffect, Omit<Share, "name">>>;
  /** Why it would have diverted or rejected, of all requests. */
  readonly reasons: readonly Share[];
  readonly admission: {
    /** Requests that came as far as admission, which is behind all gates that divert. */
    readonly asked: number;
    readonly wouldBlock: readonly WouldBlock[];
    /** It could not tell. */
    readonly indeterminate: readonly Share[];
  };
  readonly mirror: {
    readonly runs: number;
    readonly outcomes: readonly Share[];
    readonly failures: readonly Share[];
  };
  /** Null where nothing was compared. */
  readonly parity: ShadowParity | null;
}

/**
 * Undefined where the shadow saw nothing.
 * @param all of the arm `shadow`
 */
export function shadowFigures(
  all: readonly MetricTotals[],
  promoteAt: number,
): ShadowFigures | undefined {
  const checks = addUp(all.map((totals) => totals.checks));
  const outcomes = addUp(all.map((totals) => totals.outcomes));
  const failures = addUp(all.map((totals) => totals.failures));
  const parity = all.find((totals) => totals.parity !== undefined)?.parity;
  const [requests, runs] = [sum(checks), sum(outcomes)];
  if (requests === 0 && runs === 0 && parity === undefined) return undefined;
  const effectOf = (effect: CheckEffect): Omit<Share, "name"> => {
    const count = checks.get(effect) ?? 0;
    return { count, share: requests === 0 ? 0 : count / requests };
  };
  return {
    requests,
    effects: { allow: effectOf("allow"), divert: effectOf("divert"), reject: effectOf("reject") },
    reasons: sharesOf(addUp(all.map((totals) => totals.reasons)), requests),
    admission: admissionOf(
      addUp(all.map((totals) => totals.admission)),
      (checks.get("allow") ?? 0) + (checks.get("reject") ?? 0),
    ),
    mirror: { runs, outcomes: sharesOf(outcomes, runs), failures: sharesOf(failures, runs) },
    parity: parity === undefined ? null : shadowParity(parity, promoteAt),
  };
}

/** Of `reject.<REASON>` and `would_reject.<REASON>` the same: a shadow refuses nobody. */
function admissionOf(
  verdicts: ReadonlyMap<string, number>,
  passedGates: number,
): ShadowFigures["admission"] {
  const asked = verdicts.size === 0 ? 0 : passedGates;
  const blocked = byReason(verdicts, /^(?:would_)?reject\./);
  return {
    asked,
    wouldBlock: sharesOf(blocked, asked).map(({ name, count }) => ({
      name,
      // Two limits of one request may have one reason.
      ...rateOf(Math.min(count, asked), asked),
    })),
    indeterminate: sharesOf(byReason(verdicts, /^indeterminate\.?/), asked),
  };
}

/** The counts of the verdicts that begin so, by what follows. */
function byReason(verdicts: ReadonlyMap<string, number>, start: RegExp): Map<string, number> {
  return addUp(
    [...verdicts]
      .filter(([verdict]) => start.test(verdict))
      .map(([verdict, count]) => new Map([[verdict.replace(start, ""), count]])),
  );
}

function addUp<Key>(maps: readonly ReadonlyMap<Key, number>[]): Map<Key, number> {
  const total = new Map<Key, number>();
  for (const [key, count] of maps.flatMap((map) => [...map])) {
    total.set(key, (total.get(key) ?? 0) + count);
  }
  return total;
}

const sum = (counts: ReadonlyMap<unknown, number>): number =>
  [...counts.values()].reduce((total, count) => total + count, 0);
