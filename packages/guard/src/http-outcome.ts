import { Reason, type AdmissionFigures, type Outcome } from "@sluice/contract";
import { failureTable } from "@sluice/policy";
import { rateLimitFields, violatedPolicies, type RateLimitHeaders } from "./rate-limit-fields.ts";

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
  // The caller's own handler is still to be asked.
  if (outcome.path === "legacy") return false;
  if (outcome.status !== "FAILED") return outcome.status !== "REJECTED";
  // Without a fallback it was the safe path itself that failed.
  return outcome.path === "stub" && outcome.record.fallbackUsed;
}

/**
 * The table of outcome to HTTP.
 * @param told whose limits the headers tell; "subject" unless given
 * @throws TypeError for an outcome of the path `legacy`, which has no answer
 */
export function toHttpOutcome(
  outcome: Outcome<unknown, unknown, unknown>,
  told: RateLimitHeaders = "subject",
): HttpOutcome {
  const { decision } = outcome;
  if (outcome.path === "legacy") {
    throw new TypeError(
      "sluice: an outcome of the path legacy is answered by the caller's handler",
    );
  }
  if (outcome.status === "REJECTED") {
    return toRejection(outcome.reason, outcome.retryAfterMs, decision.admission, told);
  }
  const failed = outcome.status === "FAILED" && !isAnswered(outcome);
  return {
    status: failed ? failureTable[outcome.failure.code].httpStatus : 200,
    headers: rateLimitFields(decision.admission, told),
    contentType: "application/json",
    body: outcome.value,
  };
}

/** Source: draft-ietf-httpapi-ratelimit-headers-10, section 5. */
const problemTypes = "https://iana.org/assignments/http-problem-types";

/**
 * 429, or 503 when a store could not answer and the gate fails closed.
 * @param figures what admission counted, where it answered
 * @param told whose limits the headers tell; "subject" unless given
 */
export function toRejection(
  reason: Reason,
  retryAfterMs: number,
  figures?: AdmissionFigures,
  told: RateLimitHeaders = "subject",
): HttpOutcome {
  const unavailable = reason === Reason.STORE_UNAVAILABLE;
  const violated = violatedPolicies(reason, figures);
  const problem: Problem = {
    type: `${problemTypes}#${unavailable ? "temporary-reduced-capacity" : "quota-exceeded"}`,
    title: unavailable ? "Temporary Reduced Capacity" : "Quota Exceeded",
    status: unavailable ? 503 : 429,
    reason,
    ...(violated === undefined ? {} : { "violated-policies": violated }),
  };
  // Whole seconds, never early. Source: RFC 9110, section 10.2.3.
  const seconds = Number.isFinite(retryAfterMs) ? Math.max(1, Math.ceil(retryAfterMs / 1000)) : 1;
  return {
    status: problem.status,
    headers: { "retry-after": String(seconds), ...rateLimitFields(figures, told, seconds) },
    contentType: "application/problem+json",
    body: problem,
  };
}
