import { FailureCode } from "@sluice/contract";
import { failureTable } from "./failure-table.ts";

export interface AttemptFailed {
  readonly code: FailureCode;
  /** How long the upstream asked to wait. */
  readonly retryAfterMs?: number | undefined;
  /** Retries of this candidate so far. */
  readonly retriesUsed: number;
  readonly maxRetries: number;
  /** Content has left the guard. */
  readonly committed: boolean;
  /** Another candidate may stand in. */
  readonly hasNext: boolean;
  /** What is left of the request's total time. */
  readonly remainingMs: number;
  /** From 0 to 1. */
  readonly random: number;
}

export interface RetryRules {
  /** The upper bound of the first wait; it doubles with each further retry. */
  readonly baseMs: number;
  readonly maxBackoffMs: number;
  /** An upstream that asks to wait longer is not waited for. */
  readonly maxRetryAfterMs: number;
}

export type NextAttempt =
  | { readonly kind: "retry"; readonly delayMs: number }
  | { readonly kind: "failover" }
  | { readonly kind: "stop" };

const failover: NextAttempt = Object.freeze({ kind: "failover" });
const stop: NextAttempt = Object.freeze({ kind: "stop" });

/**
 * Another candidate answers sooner than one that asked to wait, or that has used up its time and would use
 * up as much again.
 */
const sooner: ReadonlySet<FailureCode> = new Set([
  FailureCode.PROVIDER_RATE_LIMITED,
  FailureCode.PROVIDER_TIMEOUT,
  FailureCode.STREAM_STALLED,
]);

/**
 * What follows a failed attempt: the same candidate after a wait, the next one at once, or nothing.
 * Nothing once content has left the guard: two answers are never glued. The wait is "full jitter",
 * `random × min(maxBackoffMs, baseMs × 2^retriesUsed)`, and never shorter than the upstream asked for.
 * Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function nextAttempt(failed: AttemptFailed, rules: RetryRules): NextAttempt {
  if (failed.committed || failed.remainingMs <= 0) return stop;
  const row = failureTable[failed.code];
  const mayFailOver = row.failover && failed.hasNext;
  const elsewhere = mayFailOver ? failover : stop;
  if (!row.retry || failed.retriesUsed >= failed.maxRetries) return elsewhere;
  if (mayFailOver && sooner.has(failed.code)) return failover;
  const askedMs = Math.max(0, failed.retryAfterMs ?? 0);
  if (askedMs > rules.maxRetryAfterMs) return elsewhere;
  const backoffMs = Math.min(rules.maxBackoffMs, rules.baseMs * 2 ** failed.retriesUsed);
  const delayMs = Math.max(askedMs, failed.random * backoffMs);
  return delayMs < failed.remainingMs ? { kind: "retry", delayMs } : elsewhere;
}
