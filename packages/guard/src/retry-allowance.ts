import { emptyRetryBudget, noteCall, trySpend } from "@sluice/policy";

/** How many retries the guard's recent calls allow, over all requests of this process. */
export interface RetryAllowance {
  /** A request's first call of a candidate. */
  noteCall(): void;
  /** Takes one retry, where there is one left. */
  trySpend(): boolean;
}

export function createRetryAllowance(ratio: number): RetryAllowance {
  let budget = emptyRetryBudget;
  return {
    noteCall() {
      budget = noteCall(budget);
    },
    trySpend() {
      const left = trySpend(budget, ratio);
      if (left === undefined) return false;
      budget = left;
      return true;
    },
  };
}
