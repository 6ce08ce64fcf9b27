import { Reason, type Outcome } from "@sluice/contract";
import { failureTable } from "@sluice/policy";

/** An outcome as HTTP shows it. */
export interface HttpOutcome {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType: "application/json" | "application/problem+json";
  readonly body: unknown;
}

/** Problem details. Source: RFC 9457. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly [extension: string]: unknown;
}

/** Whether the caller has an answer: the model's, or the safe path's in its stead. */
export function isAnswered(outcome: Outcome<unknown, unknown, unknown>): boolean {
  if (outcome.status !== "FAILED") return outcome.status !== "REJECTED";
  // Without a fallback it was the safe path itself that failed.
  return outcome.path === "stub" && outcome.record.fallbackUsed;
}

/** The table of outcome to HTTP. */
export function toHttpOutcome(outcome: Outcome<unknown, unknown, unknown>): HttpOutcome {
  if (outcome.status === "REJECTED") return toRejection(outcome.reason, outcome.retryAfterMs);
  const failed = outcome.status === "FAILED" && !isAnswered(outcome);
  return {
    status: failed ? failureTable[outcome.failure.code].httpStatus : 200,
    headers: {},
    contentType: "application/json",
    body: outcome.value,
  };
}

/** 429, or 503 when a store could not answer and the gate fails closed. */
export function toRejection(reason: Reason, retryAfterMs: number): HttpOutcome {
  const unavailable = reason === Reason.STORE_UNAVAILABLE;
  const problem: Problem = {
    type: "about:blank",
    title: unavailable ? "Reduced capacity" : "Too many requests",
    status: unavailable ? 503 : 429,
    reason,
  };
  // Whole seconds, never early. Source: RFC 9110, section 10.2.3.
  const seconds = Number.isFinite(retryAfterMs) ? Math.max(1, Math.ceil(retryAfterMs / 1000)) : 1;
  const policy = reason.toLowerCase().replaceAll("_", "-");
  return {
    status: problem.status,
    headers: {
      "retry-after": String(seconds),
      // Nothing remains for so long. Source: draft-ietf-httpapi-ratelimit-headers-10, section 4.
      ...(unavailable ? {} : { ratelimit: `"${policy}";r=0;t=${seconds}` }),
    },
    contentType: "application/problem+json",
    body: problem,
  };
}
