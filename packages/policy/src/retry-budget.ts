/** How many calls count as recent: a quiet good time saves up no more retries than these allow. */
const recentCalls = 100;
/** Whole parts of a retry, so that no sum rounds. */
const wholeRetry = 1_000_000;

/** What is left of the right to retry, in millionths of a retry. */
export interface RetryBudget {
  readonly millionths: number;
}

export const emptyRetryBudget: RetryBudget = Object.freeze({ millionths: 0 });

/**
 * The budget after a first call: `ratio` of a retry more (0 to 1, in whole millionths, rounded down), up
 * to what 100 calls earn. However calls and retries interleave, retries never exceed `ratio` × calls.
 * A token bucket filled by calls instead of time, as the retry quota of
 * https://sre.google/sre-book/handling-overload/ and https://finagle.github.io/blog/2016/02/08/retry-budgets/
 */
export function earn(state: RetryBudget, ratio: number): RetryBudget {
  // 0.000251 × 1,000,000 comes out a hair below 251.
  const earned = Math.floor(ratio * wholeRetry + 1e-6);
  const millionths = Math.min(state.millionths + earned, earned * recentCalls);
  return millionths === state.millionths ? state : { millionths };
}

/** The budget after a retry; undefined when there is none left for it. */
export function trySpend(state: RetryBudget): RetryBudget | undefined {
  if (state.millionths < wholeRetry) return undefined;
  return { millionths: state.millionths - wholeRetry };
}
