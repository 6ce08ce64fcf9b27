import type { Clock } from "@sluice/contract";

/** Whether the store is worth asking. */
export interface StoreBreaker {
  /** Whether it is left alone now, or one request looks. */
  readonly isLost: boolean;
  /** False while the store is left alone; one request in between is let through to look. */
  allows(): boolean;
  answered(): void;
  missed(): void;
}

const missesToOpen = 3;
const firstPauseMs = 1000;
const longestPauseMs = 10_000;

/**
 * After misses in a row the store is left alone for a second, then for twice as long each time, so that a
 * request does not wait for a deadline that is known to pass.
 */
export function createStoreBreaker(
  clock: Clock,
  /** Once per change. */
  onChange: (isLost: boolean) => void,
): StoreBreaker {
  let misses = 0;
  let pauseMs = firstPauseMs;
  let openUntilMs: number | undefined;
  let isProbing = false;

  return {
    get isLost() {
      return openUntilMs !== undefined;
    },
    allows() {
      if (openUntilMs === undefined) return true;
      if (isProbing || clock.monotonicMs() < openUntilMs) return false;
      isProbing = true;
      return true;
    },
    answered() {
      misses = 0;
      pauseMs = firstPauseMs;
      isProbing = false;
      if (openUntilMs === undefined) return;
      openUntilMs = undefined;
      onChange(false);
    },
    missed() {
      misses += 1;
      if (openUntilMs === undefined) {
        if (misses < missesToOpen) return;
        openUntilMs = clock.monotonicMs() + pauseMs;
        onChange(true);
        return;
      }
      // What was sent before it opened says nothing new.
      if (!isProbing) return;
      isProbing = false;
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
      openUntilMs = clock.monotonicMs() + pauseMs;
    },
  };
}
