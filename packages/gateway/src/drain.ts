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
  /** Resolves once nothing is under way; after the deadline what still is is shut. */
  start(deadlineMs: number): Promise<void>;
}

export function createDrain(clock: Clock, shut: () => void): Drain {
  let active = 0;
  let draining: PromiseWithResolvers<void> | undefined;
  let cancelDeadline: (() => void) | undefined;

  const look = (): void => {
    if (draining === undefined || active > 0) return;
    cancelDeadline?.();
    draining.resolve();
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
        cancelDeadline = clock.after(deadlineMs, shut);
        look();
      }
      return draining.promise;
    },
  };
}
