import type { Decision, Reason } from "@sluice/contract";

const code = "SLUICE_DENIED";

/**
 * The guard did not let a call through, and there is no model to fall back on. The AI SDK does not
 * retry it. Its message holds codes only.
 */
export class SluiceDeniedError extends Error {
  readonly code = code;
  /** `divert`: take the safe path. `reject`: too much is going on; HTTP says 429. */
  readonly effect: "divert" | "reject";
  readonly reason: Reason;
  /** Only with `reject`: milliseconds until another try can succeed. */
  readonly retryAfterMs: number | undefined;
  readonly decisionId: string;
  /** For whoever decides on retries by it. */
  readonly isRetryable = false;

  constructor(denial: {
    readonly effect: "divert" | "reject";
    readonly reason: Reason;
    readonly decision: Pick<Decision, "id" | "retryAfterMs">;
  }) {
    const { effect, reason, decision } = denial;
    super(`sluice: ${effect === "divert" ? "diverted" : "rejected"} (${reason})`);
    this.name = "SluiceDeniedError";
    this.effect = effect;
    this.reason = reason;
    this.retryAfterMs = effect === "reject" ? decision.retryAfterMs : undefined;
    this.decisionId = decision.id;
  }

  /** True also for an error of another copy of this package. */
  static isInstance(error: unknown): error is SluiceDeniedError {
    return error instanceof Error && (error as { code?: unknown }).code === code;
  }
}
