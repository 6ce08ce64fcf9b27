/** Conditions under which a feature shuts itself. An absent condition never trips. */
export interface TripwireLimits {
  /** Share of failed calls, 0 to 1, above which it trips. */
  readonly errorRate: { readonly max: number; readonly minCalls: number } | undefined;
  /** Trips when more than 5 % of the calls take longer: the p95 is above the ceiling. */
  readonly latency: { readonly p95CeilingMs: number; readonly minCalls: number } | undefined;
  /** How many answers may fail the contract. */
  readonly schemaFailures: { readonly max: number } | undefined;
  /** How many distinct subjects must have met the harm: one user alone must not shut a feature. */
  readonly minSubjects: number;
}

/** What one call of the AI path told. */
export interface Observation {
  readonly subject: string;
  readonly latencyMs: number;
  readonly error: boolean;
  readonly schemaFailure: boolean;
}

export interface Trip {
  readonly condition: "errorRate" | "latency" | "schemaFailures";
  readonly figures: Readonly<Record<string, number>>;
}

const overP95 = 0.05;

/** The latest observations, at most `size`. */
export function observe(
  window: readonly Observation[],
  next: Observation,
  size: number,
): readonly Observation[] {
  return [...window.slice(Math.max(0, window.length + 1 - size)), next];
}

/** Whether what was observed is harm. */
export function judgeTripwire(
  window: readonly Observation[],
  limits: TripwireLimits,
): Trip | undefined {
  const calls = window.length;
  const { errorRate, latency, schemaFailures, minSubjects } = limits;
  if (schemaFailures !== undefined) {
    const bad = window.filter((seen) => seen.schemaFailure);
    if (bad.length > schemaFailures.max && subjectsOf(bad) >= minSubjects) {
      return {
        condition: "schemaFailures",
        figures: { calls, schemaFailures: bad.length, max: schemaFailures.max },
      };
    }
  }
  if (errorRate !== undefined && calls >= errorRate.minCalls) {
    const bad = window.filter((seen) => seen.error);
    if (bad.length / calls > errorRate.max && subjectsOf(bad) >= minSubjects) {
      return {
        condition: "errorRate",
        figures: { calls, errors: bad.length, max: errorRate.max },
      };
    }
  }
  if (latency !== undefined && calls >= latency.minCalls) {
    const slow = window.filter((seen) => seen.latencyMs > latency.p95CeilingMs);
    if (slow.length > calls * overP95 && subjectsOf(slow) >= minSubjects) {
      return {
        condition: "latency",
        figures: { calls, slow: slow.length, p95CeilingMs: latency.p95CeilingMs },
      };
    }
  }
  return undefined;
}

function subjectsOf(observations: readonly Observation[]): number {
  return new Set(observations.map((seen) => seen.subject)).size;
}
