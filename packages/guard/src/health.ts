import type { Breaker, BreakerPermit, BreakerState, Clock, FailureCode } from "@sluice/contract";
import { afterFailure, afterSuccess, coolsForMs, notCooling } from "@sluice/policy";

/** Why a provider can't be called now. */
export type Unwell = "circuit_open" | "cooling_down";

/** How one provider fares: its breaker, and whether it asked to be left alone. */
export interface Health {
  /** Undefined without a breaker. */
  readonly state: BreakerState | undefined;
  /** Leave to make one call, or why there is none. `waited`: what it asked to wait has been waited. */
  ask(waited?: boolean): BreakerPermit | Unwell;
  /** Learns how an attempt ended; the breaker learns from its permit. */
  note(code: FailureCode | undefined, retryAfterMs?: number): void;
  /** Milliseconds for which it is left alone; 0 when it may be called. */
  coolingMs(): number;
  close(): void;
}

const noPermit: BreakerPermit = Object.freeze({ settle: () => undefined });

/** Without a breaker every call is let through. */
export const alwaysWell: Health = Object.freeze({
  state: undefined,
  ask: () => noPermit,
  note: () => undefined,
  coolingMs: () => 0,
  close: () => undefined,
});

export function createHealth(options: {
  readonly breaker: Breaker;
  readonly clock: Clock;
  /** Called when a cool-down begins, once until a call succeeds. */
  readonly onCoolDown: (ms: number, code: FailureCode) => void;
}): Health {
  const { breaker, clock, onCoolDown } = options;
  let coolDown = notCooling;
  return {
    get state() {
      return breaker.state;
    },
    ask(waited = false) {
      if (!waited && coolDown !== notCooling && coolsForMs(coolDown, clock.monotonicMs()) > 0) {
        return "cooling_down";
      }
      return breaker.tryAcquire() ?? "circuit_open";
    },
    note(code, retryAfterMs) {
      if (code === undefined) {
        coolDown = afterSuccess(coolDown);
        return;
      }
      const now = clock.monotonicMs();
      const next = afterFailure(coolDown, { code, retryAfterMs }, now);
      if (next.streak === 1 && coolDown.streak === 0) onCoolDown(coolsForMs(next, now), code);
      coolDown = next;
    },
    coolingMs: () => coolsForMs(coolDown, clock.monotonicMs()),
    close: () => breaker.close(),
  };
}
