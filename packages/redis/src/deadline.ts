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
  /** Gives up all that is waited for. */
  close(): void;
}

interface Waiting extends Linked {
  readonly dueMs: number;
  readonly giveUp: () => void;
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

  const sweep = (): void => {
    const now = clock.monotonicMs();
    // Timers run before sockets are read.
    wasLate = !wasLate && now - sweptMs > 2 * everyMs;
    sweptMs = now;
    if (wasLate) return;
    for (const waiting of all) {
      if (waiting.dueMs > now) return;
      waiting.giveUp();
    }
    if (all.size > 0) return;
    stop?.();
    stop = undefined;
  };

  return {
    within: <Answer>(answer: Promise<Answer>, onUnknown?: (error: unknown) => void) =>
      new Promise<Answer | undefined>((resolve) => {
        let isLate = false;
        const waiting: Waiting = {
          dueMs: clock.monotonicMs() + limitMs,
          giveUp() {
            isLate = true;
            all.delete(waiting);
            resolve(undefined);
          },
        };
        all.add(waiting);
        if (stop === undefined) {
          sweptMs = clock.monotonicMs();
          stop = clock.every(everyMs, sweep);
        }
        const settle = (value: Answer): void => {
          all.delete(waiting);
          if (isLate) onUnknown?.(undefined);
          else resolve(value);
        };
        const fail = (error: unknown): void => {
          all.delete(waiting);
          onUnknown?.(error);
          resolve(undefined);
        };
        answer.then(settle, fail);
      }),
    close() {
      for (const waiting of all) waiting.giveUp();
      stop?.();
      stop = undefined;
    },
  };
}
