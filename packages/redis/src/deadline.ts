import type { Clock } from "@sluice/contract";
import { createLinkedSet, type Linked } from "./linked-set.ts";

/** Answers within a time limit. */
export interface Deadline {
  /**
   * The answer; undefined when it fails or is late. `onUnknown` is called once it can be told that what was
   * asked for may have been done all the same: the answer came late, or failed after it was sent.
   */
  within<Answer>(
    answer: Promise<Answer>,
    onUnknown?: (error: unknown) => void,
  ): Promise<Answer | undefined>;
  /** The same for who waits without a promise. */
  start(waiting: Waiting): void;
  /** Its answer came. False where it was given up. */
  end(waiting: Waiting): boolean;
  /** Gives up all that is waited for. */
  close(): void;
}

/** Who waits for an answer. */
export interface Waiting extends Linked {
  /** Written by the deadline. */
  dueMs: number;
  giveUp(): void;
}

/**
 * One limit for many calls: they wait in one set that is swept now and then, since a timer for each would
 * cost more than the call. An answer may be given up a fifth of the limit late, and two fifths where this
 * process stood still: what came in meanwhile is read before it is called late.
 */
export function createDeadline(clock: Clock, limitMs: number): Deadline {
  // In the order of their due times: all have the same limit.
  const all = createLinkedSet<Waiting>();
  let stop: (() => void) | undefined;
  const everyMs = Math.max(1, limitMs / 5);
  let sweptMs = 0;
  let wasLate = false;

  const giveUp = (waiting: Waiting): void => {
    all.delete(waiting);
    waiting.giveUp();
  };

  const sweep = (): void => {
    const now = clock.monotonicMs();
    // Timers run before sockets are read.
    wasLate = !wasLate && now - sweptMs > 2 * everyMs;
    sweptMs = now;
    if (wasLate) return;
    for (const waiting of all) {
      if (waiting.dueMs > now) return;
      giveUp(waiting);
    }
    if (all.size > 0) return;
    stop?.();
    stop = undefined;
  };

  const start = (waiting: Waiting): void => {
    waiting.dueMs = clock.monotonicMs() + limitMs;
    all.add(waiting);
    if (stop !== undefined) return;
    sweptMs = clock.monotonicMs();
    stop = clock.every(everyMs, sweep);
  };

  return {
    start,
    end: (waiting) => all.delete(waiting),
    within: <Answer>(answer: Promise<Answer>, onUnknown?: (error: unknown) => void) =>
      new Promise<Answer | undefined>((resolve) => {
        const waiting: Waiting = { dueMs: 0, giveUp: () => resolve(undefined) };
        start(waiting);
        const settle = (value: Answer): void => {
          if (all.delete(waiting)) resolve(value);
          else onUnknown?.(undefined);
        };
        const fail = (error: unknown): void => {
          all.delete(waiting);
          onUnknown?.(error);
          resolve(undefined);
        };
        answer.then(settle, fail);
      }),
    close() {
      for (const waiting of all) giveUp(waiting);
      stop?.();
      stop = undefined;
    },
  };
}
