import type { Hold, HoldEnd } from "@sluice/contract";
import type { StopCause } from "./attempt-end.ts";
import type { GateContext } from "./gates/gate.ts";
import { releaseHolds } from "./holds.ts";

/** What stands behind a decision: what it holds, and how to stop what runs on it. */
export class Work<In> {
  readonly context: GateContext<In>;
  readonly decidedMs: number;
  readonly #onHoldThrow: (kind: Hold["kind"]) => void;
  #state: "open" | "executing" | "ended" = "open";
  #stop: ((cause: StopCause) => void) | undefined;

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

  /** How to stop the call that runs now; undefined when none does. */
  onStop(stop: ((cause: StopCause) => void) | undefined): void {
    this.#stop = stop;
  }

  stop(cause: StopCause): void {
    this.#stop?.(cause);
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

  /** Gives every hold back; only the first call counts. */
  end(end: HoldEnd): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#stop = undefined;
    releaseHolds(this.context.holds, end, this.#onHoldThrow);
  }
}
