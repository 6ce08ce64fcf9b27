import type { FailureCode } from "@sluice/contract";
import { failureTable } from "./failure-table.ts";

/** Until when a candidate is left alone, because its upstream asked to wait or refused the account. */
export interface CoolDown {
  /** On the caller's clock, in milliseconds. */
  readonly untilMs: number;
  /** Cool-downs in a row without a success between them. */
  readonly streak: number;
}

export const notCooling: CoolDown = Object.freeze({ untilMs: 0, streak: 0 });

const maxAskedMs = 600_000;
const maxOwnMs = 60_000;

/**
 * The candidate's state after a failed call. One that the table gives no cool-down changes nothing, unless
 * the upstream asked to wait.
 * The upstream's own time counts where it named one, up to 10 minutes; else the table's, doubled for each
 * cool-down in a row, up to 60 s. A running one is never shortened.
 */
export function afterFailure(
  state: CoolDown,
  failure: { readonly code: FailureCode; readonly retryAfterMs: number | undefined },
  nowMs: number,
): CoolDown {
  const { coolDownMs, failover } = failureTable[failure.code];
  const asked = failover && (failure.retryAfterMs ?? 0) > 0;
  if (coolDownMs === 0 && !asked) return state;
  // Calls that were in flight together and are all refused are one refusal, not a row of them.
  const streak = nowMs < state.untilMs ? Math.max(1, state.streak) : state.streak + 1;
  const waitMs =
    failure.retryAfterMs !== undefined && failure.retryAfterMs >= 0
      ? Math.min(maxAskedMs, failure.retryAfterMs)
      : Math.min(maxOwnMs, coolDownMs * 2 ** (streak - 1));
  return { untilMs: Math.max(state.untilMs, nowMs + waitMs), streak };
}

/**
 * The candidate's state after a good call: the next cool-down is short again. A running one stays, because
 * a call that was in flight before the refusal says nothing of it.
 */
export function afterSuccess(state: CoolDown): CoolDown {
  return state.streak === 0 ? state : { untilMs: state.untilMs, streak: 0 };
}

/** Milliseconds until the candidate may be called; 0 when it may. */
export function coolsForMs(state: CoolDown, nowMs: number): number {
  return Math.max(0, state.untilMs - nowMs);
}
