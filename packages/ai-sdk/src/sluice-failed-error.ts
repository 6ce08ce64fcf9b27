import type { FailureCode } from "@sluice/contract";

const code = "SLUICE_FAILED";

/**
 * A guarded call did not come to its end: the guard stopped it, or its upstream broke off. The AI SDK
 * does not retry it. Its message holds codes only; what the upstream threw is its `cause`.
 */
export class SluiceFailedError extends Error {
  readonly code = code;
  readonly failure: FailureCode;
  /** For whoever decides on retries by it. */
  readonly isRetryable = false;

  constructor(failure: FailureCode, options?: ErrorOptions) {
    super(`sluice: the call failed (${failure})`, options);
    this.name = "SluiceFailedError";
    this.failure = failure;
  }

  /** True also for an error of another copy of this package. */
  static isInstance(error: unknown): error is SluiceFailedError {
    return error instanceof Error && (error as { code?: unknown }).code === code;
  }
}
