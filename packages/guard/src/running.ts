import type { Clock, Usage } from "@sluice/contract";
import type { AttemptEnd, Seen, StopCause } from "./attempt-end.ts";
import type { Work } from "./work.ts";

/** Time limits of one attempt in milliseconds; the total one is part of `attemptMs`. */
export interface AttemptClocks {
  readonly attemptMs: number;
  readonly firstContentMs: number;
  /** Between two signs of life after the first content. */
  readonly chunkMs: number;
  /** For how long a reader may stand still while its buffer is full. */
  readonly readerMs: number;
}

/**
 * One call under way, whoever makes it: its signal, its four clocks, and how it is stopped. No timer is
 * touched by a piece of content: the tick that watches over work in flight looks at what has moved.
 */
export class Running<In> {
  readonly signal: AbortSignal;
  /** Resolves when it is stopped. */
  readonly stopped: Promise<AttemptEnd>;
  readonly startedMs: number;
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  readonly #clocks: AttemptClocks;
  readonly #work: Work<In>;
  readonly #resolve: (end: AttemptEnd) => void;
  readonly #cancelTimer: () => void;
  #cause: StopCause | undefined;
  #streams = false;
  #bytes = 0;
  #usage: Usage | undefined;
  #firstContentMs: number | undefined;
  /** When the last sign of life came. */
  #movedMs: number;
  #readerMs: number | undefined;

  constructor(work: Work<In>, clock: Clock, clocks: AttemptClocks) {
    const { promise, resolve } = Promise.withResolvers<AttemptEnd>();
    this.stopped = promise;
    this.#resolve = resolve;
    this.#clock = clock;
    this.#clocks = clocks;
    this.#work = work;
    this.signal = this.#controller.signal;
    this.startedMs = clock.monotonicMs();
    this.#movedMs = this.startedMs;
    this.#cancelTimer = clock.after(clocks.attemptMs, () => this.stop({ kind: "timeout" }));
    work.runs(this);
  }

  get cause(): StopCause | undefined {
    return this.#cause;
  }

  get seen(): Seen {
    return {
      bytes: this.#streams ? this.#bytes : undefined,
      firstContentMs: this.#firstContentMs,
      usage: this.#usage,
    };
  }

  /** From here on the clocks of a stream count. */
  streams(): void {
    this.#streams = true;
  }

  content(bytes: number): void {
    this.#bytes += bytes;
    this.#movedMs = this.#clock.monotonicMs();
    this.#firstContentMs ??= this.#movedMs - this.startedMs;
  }

  /** Some hosts tell a running count, and some end it with zeros: the most counts. */
  told({ inputTokens, outputTokens }: Usage): void {
    this.progress();
    this.#usage = {
      inputTokens: Math.max(inputTokens, this.#usage?.inputTokens ?? 0),
      outputTokens: Math.max(outputTokens, this.#usage?.outputTokens ?? 0),
    };
  }

  progress(): void {
    this.#movedMs = this.#clock.monotonicMs();
  }

  /** While it waits for its reader the upstream owes nothing. */
  awaitsReader(awaits: boolean): void {
    this.#movedMs = this.#clock.monotonicMs();
    this.#readerMs = awaits ? this.#movedMs : undefined;
  }

  stop(cause: StopCause): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#resolve({ kind: "stopped", cause, seen: this.seen });
    this.#controller.abort();
  }

  /** Looks at the clocks of a stream; gives when the next may have run out. */
  check(now: number): number {
    if (!this.#streams || this.#cause !== undefined) return Number.POSITIVE_INFINITY;
    const { firstContentMs, chunkMs, readerMs } = this.#clocks;
    if (this.#readerMs !== undefined) {
      return this.#due(this.#readerMs + readerMs, now, { kind: "client" });
    }
    return this.#firstContentMs === undefined
      ? this.#due(this.startedMs + firstContentMs, now, { kind: "timeout" })
      : this.#due(this.#movedMs + chunkMs, now, { kind: "stalled" });
  }

  #due(dueMs: number, now: number, cause: StopCause): number {
    if (now >= dueMs) this.stop(cause);
    return dueMs;
  }

  /** The call is over, whichever way. */
  end(): void {
    this.#work.runs(undefined);
    this.#cancelTimer();
  }
}
