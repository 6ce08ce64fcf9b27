/** How many first calls are recent. */
const recentCalls = 100;

/** The latest first calls, each with the retries that were made before the next one. */
export interface RetryBudget {
  readonly retriesOfCalls: readonly number[];
  readonly retries: number;
}

export const emptyRetryBudget: RetryBudget = Object.freeze({ retriesOfCalls: [], retries: 0 });

/** The budget after a first call; what happened more than 100 first calls ago is forgotten. */
export function noteCall({ retriesOfCalls, retries }: RetryBudget): RetryBudget {
  const isFull = retriesOfCalls.length >= recentCalls;
  const kept = isFull ? retriesOfCalls.slice(1) : retriesOfCalls;
  return {
    retriesOfCalls: [...kept, 0],
    retries: retries - (isFull ? (retriesOfCalls[0] ?? 0) : 0),
  };
}

/**
 * The budget after a retry; undefined where it would make retries more than `ratio` (0 to 1) of the last
 * 100 first calls. It is counted in calls and not in time, so a quiet hour saves nothing up.
 * After the retry quota of https://sre.google/sre-book/handling-overload/
 */
export function trySpend(
  { retriesOfCalls, retries }: RetryBudget,
  ratio: number,
): RetryBudget | undefined {
  // A product such as 0.07 × 100 may come out a hair below or above the whole number it is.
  if (retries + 1 > ratio * retriesOfCalls.length + 1e-9) return undefined;
  const latest = retriesOfCalls.length - 1;
  return {
    retriesOfCalls: retriesOfCalls.with(latest, (retriesOfCalls[latest] ?? 0) + 1),
    retries: retries + 1,
  };
}
