import type { FailureCode } from "@sluice/contract";

/** Thrown by a guarded function that knows which failure it met. */
export class ProviderError extends Error {
  readonly code = "SLUICE_PROVIDER";
  readonly failure: FailureCode;

  constructor(failure: FailureCode, options?: ErrorOptions) {
    super(failure, options);
    this.name = "ProviderError";
    this.failure = failure;
  }

  /** True also for an error of another copy of this package. */
  static isInstance(error: unknown): error is ProviderError {
    return error instanceof Error && (error as { code?: unknown }).code === "SLUICE_PROVIDER";
  }
}
