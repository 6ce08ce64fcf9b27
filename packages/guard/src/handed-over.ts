import type { FailureCode, Reason, Usage } from "@sluice/contract";

/** How a call that was handed over ended. */
export type HandedOverEnd =
  | { readonly ok: true; readonly usage?: Usage | undefined }
  | {
      readonly ok: false;
      readonly code: FailureCode;
      /** False only when it is certain that no byte of the request left the process. */
      readonly dispatched: boolean;
      readonly usage?: Usage | undefined;
      readonly retryAfterMs?: number | undefined;
      readonly httpStatus?: number | undefined;
    };

/**
 * One call that the caller makes itself, within the guard's limits. It has to be ended on every path; one
 * that is not is ended 30 seconds after the guard stopped it.
 */
export interface HandedOver {
  /** Aborts when the feature is shut, the client goes away, or one of the clocks runs out. */
  readonly signal: AbortSignal;
  /** The most output tokens the call may use; undefined without a cap. */
  readonly maxOutputTokens: number | undefined;
  readonly idempotencyKey: string;
  /** Why the guard stopped the call, where it did. */
  readonly stopped: FailureCode | undefined;
  /** From here on the clocks of a stream count. */
  streams(): void;
  /** A piece of content came: so many UTF-8 bytes. */
  content(bytes: number): void;
  /** Something came that is no content. */
  progress(): void;
  /** While the reader takes nothing the upstream owes nothing, and the reader's own clock runs. */
  awaitsReader(awaits: boolean): void;
  /**
   * Settles what is held and records the outcome; only the first call counts. Gives the failure in force:
   * where the guard stopped the call that is its own, whatever is said here.
   */
  end(how: HandedOverEnd): FailureCode | undefined;
}

/** Nothing may be called: the decision said so, or what happened since. */
export interface Barred {
  readonly barred: Reason | FailureCode;
}
