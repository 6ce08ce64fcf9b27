import type { Hold, HoldEnd } from "@sluice/contract";
import type { StopCause } from "./attempt-end.ts";
import type { GateContext } from "./gates/gate.ts";
import { releaseHolds } from "./holds.ts";

/** What runs on a decision now. */
export interface Runs {
  stop(cause: StopCause): void;
  /** Looks whether its time is up; if not, when it may be at the earliest. */
  check?(now: number): number;
}

/** What stands behind a decision: what it holds, and how to stop what runs on it. */
export class Work<In> {
  readonly context: GateContext<In>;
  readonly decidedMs: number;
  readonly #onHoldThrow: (kind: Hold["kind"]) => void;
  #state: "open" | "executing" | "ended" = "open";
  #runs: Runs | undefined;
  #stopped: StopCause | undefined;
  /** What runs beside the attempts: tools, and what waits for a retry. */
  readonly #stops = new Set<() => void>();

  constructor(
    context: GateContext<In>,
    decidedMs: number,
    onHoldThrow: (kind: Hold["kind"]) => void,
  ) {
    this.context = context;
    this.decidedMs = decidedMs;
    this.#onHoldThrow = onHoldThrow;
  }

  /** Decided, and not executed yet. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Claims the decision for execution; false when it was executed or given up already. */
  begin(): boolean {
    if (this.#state !== "open") return false;
    this.#state = "executing";
    return true;
  }

  /** The call that runs now; undefined when none does. */
  runs(running: Runs | undefined): void {
    this.#runs = running;
  }

  /** Calls when the work is stopped, at once if it was; the returned function takes it back. */
  onStop(stop: () => void): () => void {
    if (this.#stopped === undefined) this.#stops.add(stop);
    else stop();
    return () => void this.#stops.delete(stop);
  }

  /** Why it was stopped while it was executed; no attempt may follow, also where the cause is lifted. */
  get stopped(): StopCause | undefined {
    return this.#stopped;
  }

  stop(cause: StopCause): void {
    // Between two attempts nothing runs that could remember it.
    if (this.#state === "executing") this.#stopped ??= cause;
    this.#runs?.stop(cause);
    for (const stop of this.#stops) stop();
  }

  check(now: number): number {
    return this.#runs?.check?.(now) ?? Number.POSITIVE_INFINITY;
  }

  renew(): void {
    for (const hold of this.context.holds) {
      try {
        hold.renew?.();
      } catch {
        this.#onHoldThrow(hold.kind);
      }
    }
  }

  /** Hands over what the gates took for the first attempt; the lease stays until the end. */
  takeAttemptHolds(): Hold[] {
    const { holds } = this.context;
    const taken = holds.filter((hold) => hold.kind !== "lease");
    const left = holds.filter((hold) => hold.kind === "lease");
    holds.splice(0, holds.length, ...left);
    return taken;
  }

  /** Gives the holds of an attempt back. */
  release(holds: Hold[], end: HoldEnd): void {
    releaseHolds(holds, end, this.#onHoldThrow);
  }

  /** Gives every hold back; only the first call counts. */
  end(end: HoldEnd): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#runs = undefined;
    this.#stops.clear();
    releaseHolds(this.context.holds, end, this.#onHoldThrow);
  }
}
