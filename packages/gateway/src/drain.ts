import type { Clock } from "@sluice/contract";
import type { Problem } from "@sluice/guard";

/** Source: draft-ietf-httpapi-ratelimit-headers-10, section 5. */
export const drainProblem: Problem = {
  type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
  title: "Temporary Reduced Capacity",
  status: 503,
};

/** Answers under way, and the end of all. */
export interface Drain {
  readonly isDraining: boolean;
  readonly active: number;
  /** Counts until it settles. */
  watch(answering: Promise<unknown>): void;
  /**
   * Resolves once nothing is under way. At the deadline what still is is shut; what does not end of that
   * within five seconds is waited for no more.
   */
  start(deadlineMs: number): Promise<void>;
}

/** For what was shut to end, and be sent; a function of the application may never. */
const endMs = 5000;
/** More would be none at all. Source: https://nodejs.org/api/timers.html */
const longestMs = 2 ** 31 - 1;

export function createDrain(clock: Clock, shut: () => void): Drain {
  let active = 0;
  let draining: PromiseWithResolvers<void> | undefined;
  let cancelDeadline: (() => void) | undefined;

  const over = (): void => {
    cancelDeadline?.();
    draining?.resolve();
  };

  const look = (): void => {
    if (active === 0) over();
  };

  return {
    get isDraining() {
      return draining !== undefined;
    },
    get active() {
      return active;
    },
    watch(answering) {
      active += 1;
      const ended = (): void => {
        active -= 1;
        look();
      };
      answering.then(ended, ended);
    },
    start(deadlineMs) {
      if (draining === undefined) {
        draining = Promise.withResolvers();
        cancelDeadline = clock.after(Math.min(deadlineMs, longestMs), () => {
          cancelDeadline = clock.after(endMs, over);
          shut();
        });
        look();
      }
      return draining.promise;
    },
  };
}
