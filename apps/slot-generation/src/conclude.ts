import { FailureCode, Reason } from "@sluice/contract";
import { SlotsFailed } from "./slots-contract.ts";
import type { OutLine, SlotsOutcome } from "./out-line.ts";

/** Why a job is left to a later start: a reason of the guard, or the run was told to stop. */
export type UnfinishedReason = Reason | "STOPPED";

export type Conclusion =
  | { readonly finished: true; readonly line: OutLine }
  | { readonly finished: false; readonly reason: UnfinishedReason };

/** The stub is what these jobs are meant to get. */
const ownReasons: ReadonlySet<Reason> = new Set([
  Reason.NOT_OPTED_IN,
  Reason.NOT_ALLOWLISTED,
  Reason.NOT_IN_ROLLOUT,
]);

const budgetReasons: ReadonlySet<Reason> = new Set([
  Reason.BUDGET_CALLS,
  Reason.BUDGET_TOKENS,
  Reason.BUDGET_COST,
]);

export const isBudgetReason = (reason: Reason): boolean => budgetReasons.has(reason);

/**
 * Whether a job is finished, or left to a later start.
 *
 * - A job that is not meant for the model (not opted in, not listed, outside the percentage) is finished
 *   with its stub.
 * - One that only lacked budget is left.
 * - Where the AI path as a whole was closed (flag off, killed, tripped, stale, no provider), it depends
 *   on whether it was ever open to this batch: a batch that was begun closed is meant to be stubs; to
 *   one that was open the closing is an interruption, and stubs would be there for good.
 */
export function conclude(
  id: string,
  outcome: SlotsOutcome,
  batch: { readonly opened: boolean; readonly acceptStubs: boolean },
): Conclusion {
  switch (outcome.status) {
    case "SUCCEEDED": {
      const { usage, costNanoUsd } = outcome.record;
      return {
        finished: true,
        line: {
          id,
          path: "ai",
          value: outcome.value,
          ...usage,
          ...(costNanoUsd === undefined ? {} : { costNanoUsd }),
        },
      };
    }
    case "STUBBED": {
      const { reason, value } = outcome;
      const closedByPercent = reason === Reason.NOT_IN_ROLLOUT && outcome.decision.closed;
      const finished =
        batch.acceptStubs ||
        (ownReasons.has(reason) && !closedByPercent) ||
        (!isBudgetReason(reason) && !batch.opened);
      return finished
        ? { finished, line: { id, path: "stub", reason, value } }
        : { finished, reason };
    }
    case "FAILED": {
      const { code } = outcome.failure;
      if (code === FailureCode.CLIENT_ABORTED) return { finished: false, reason: "STOPPED" };
      const value = SlotsFailed.parse(outcome.value);
      return { finished: true, line: { id, path: "failed", code, value } };
    }
    case "REJECTED":
      return { finished: false, reason: outcome.reason };
  }
}
