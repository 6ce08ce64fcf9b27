import { FailureCode, type Outcome } from "@sluice/contract";

/** Whether nobody takes the answer any more: the client left, or stalled until the guard gave it up. */
export function isGivenUp(outcome: Outcome<unknown, unknown, unknown>): boolean {
  return outcome.status === "FAILED" && outcome.failure.code === FailureCode.CLIENT_ABORTED;
}
