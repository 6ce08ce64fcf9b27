import type { Clock } from "@sluice/contract";

interface Timer {
  dueMs: number;
  /** Undefined for a timer that runs once. */
  readonly intervalMs: number | undefined;
  readonly callback: () => void;
}

/** More timers than this in one advance is a timer that rearms itself without waiting. */
const maxTimersRun = 100_000;

const realSetImmediate = setImmediate;

/** Time that passes only when a test says so. Both clocks go on together except where said otherwise. */
export class FakeClock implements Clock {
  #monotonicMs: number;
  #wallMs: number;
  readonly #timers = new Set<Timer>();

  constructor(start: { readonly monotonicMs?: number; readonly wallMs?: number } = {}) {
    this.#monotonicMs = start.monotonicMs ?? 0;
    this.#wallMs = start.wallMs ?? Date.UTC(2026, 0, 1);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#start(Math.max(0, delayMs), undefined, callback);
  }

  /** As in Node, an interval under a millisecond is a millisecond. */
  every(intervalMs: number, callback: () => void): () => void {
    const atLeastOne = Math.max(1, intervalMs);
    return this.#start(atLeastOne, atLeastOne, callback);
  }

  /** Timers that would still run; none may be left when what started them has ended. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Lets time pass and runs the timers that are due in the order of their times, also those they start. */
  advance(ms: number): void {
    const endMs = this.#endOf(ms);
    for (let run = 0; this.#runNext(endMs); run += 1) assertEnds(run);
    this.#passUntil(endMs);
  }

  /** The same, and what promises wait for goes on before the first timer, after each, and at the end. */
  async advanceAsync(ms: number): Promise<void> {
    const endMs = this.#endOf(ms);
    await settled();
    for (let run = 0; this.#runNext(endMs); run += 1) {
      assertEnds(run);
      await settled();
    }
    this.#passUntil(endMs);
    await settled();
  }

  /** Moves the wall clock alone, either way, as an operator or NTP does. */
  stepWall(ms: number): void {
    this.#wallMs += assertNumber("stepWall", ms);
  }

  /** The machine sleeps: the wall clock goes on; the monotonic clock and the timers stand still. */
  sleepMachine(ms: number): void {
    this.#wallMs += assertNotNegative("sleepMachine", ms);
  }

  #start(delayMs: number, intervalMs: number | undefined, callback: () => void): () => void {
    const timer: Timer = {
      dueMs: this.#monotonicMs + assertNumber("a timer", delayMs),
      intervalMs,
      callback,
    };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  #endOf(ms: number): number {
    return this.#monotonicMs + assertNotNegative("advance", ms);
  }

  #passUntil(timeMs: number): void {
    // A timer's callback may have let more time pass than was asked for here.
    const passedMs = Math.max(0, timeMs - this.#monotonicMs);
    this.#monotonicMs += passedMs;
    this.#wallMs += passedMs;
  }

  #runNext(endMs: number): boolean {
    let next: Timer | undefined;
    // Of timers due at the same time the one started first runs first: a set keeps that order.
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    if (next === undefined) return false;
    this.#passUntil(next.dueMs);
    this.#timers.delete(next);
    if (next.intervalMs !== undefined) {
      next.dueMs += next.intervalMs;
      this.#timers.add(next);
    }
    next.callback();
    return true;
  }
}

/** A turn of the event loop: every microtask that is ready has run, also those they queued. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    realSetImmediate(resolve);
  });
}

function assertEnds(run: number): void {
  if (run >= maxTimersRun) throw new Error("FakeClock: a timer rearms itself without waiting");
}

function assertNumber(what: string, ms: number): number {
  if (Number.isNaN(ms)) throw new RangeError(`FakeClock: ${what} takes milliseconds, got NaN`);
  return ms;
}

function assertNotNegative(what: string, ms: number): number {
  if (ms < 0) throw new RangeError(`FakeClock: ${what} takes no negative milliseconds, got ${ms}`);
  return assertNumber(what, ms);
}
