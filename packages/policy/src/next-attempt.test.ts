import { failureCodes, type FailureCode } from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failureTable } from "./failure-table.ts";
import { nextAttempt, type AttemptFailed, type RetryRules } from "./next-attempt.ts";

const rules: RetryRules = { baseMs: 200, maxBackoffMs: 2000, maxRetryAfterMs: 5000 };

const failed = (code: FailureCode, more: Partial<AttemptFailed> = {}): AttemptFailed => ({
  code,
  retriesUsed: 0,
  maxRetries: 2,
  committed: false,
  hasNext: false,
  remainingMs: 60_000,
  random: 0.5,
  ...more,
});

const next = (code: FailureCode, more: Partial<AttemptFailed> = {}) =>
  nextAttempt(failed(code, more), rules);

const anyFailed = fc.record({
  code: fc.constantFrom(...failureCodes),
  retryAfterMs: fc.option(fc.nat(20_000), { nil: undefined }),
  retriesUsed: fc.nat(12),
  maxRetries: fc.nat(10),
  committed: fc.boolean(),
  hasNext: fc.boolean(),
  remainingMs: fc.integer({ min: -10, max: 20_000 }),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

describe("what follows a failed attempt", () => {
  it.each<[FailureCode, alone: string, withNext: string]>([
    ["PROVIDER_TIMEOUT", "retry", "failover"],
    ["PROVIDER_RATE_LIMITED", "retry", "failover"],
    ["PROVIDER_QUOTA", "stop", "failover"],
    ["PROVIDER_AUTH", "stop", "failover"],
    ["PROVIDER_UNAVAILABLE", "retry", "retry"],
    ["PROVIDER_BAD_REQUEST", "stop", "failover"],
    ["REFUSED", "stop", "stop"],
    ["CONTENT_FILTERED", "stop", "stop"],
    ["STREAM_CUT", "retry", "retry"],
    ["STREAM_STALLED", "retry", "failover"],
    ["OUTPUT_TRUNCATED", "stop", "stop"],
    ["OUTPUT_NOT_JSON", "stop", "stop"],
    ["OUTPUT_SCHEMA_INVALID", "stop", "stop"],
    ["KILLED", "stop", "stop"],
    ["CLIENT_ABORTED", "stop", "stop"],
    ["INTERNAL", "stop", "stop"],
  ])("after %s is %s alone and %s with another candidate", (code, alone, withNext) => {
    expect(next(code).kind).toBe(alone);
    expect(next(code, { hasNext: true }).kind).toBe(withNext);
  });

  it("is nothing once content has left, whatever failed", () => {
    fc.assert(
      fc.property(anyFailed, (one) => {
        expect(nextAttempt({ ...one, committed: true }, rules)).toEqual({ kind: "stop" });
      }),
    );
  });

  it("is nothing when no time is left, not even another candidate", () => {
    expect(next("PROVIDER_UNAVAILABLE", { remainingMs: 0, hasNext: true })).toEqual({
      kind: "stop",
    });
    expect(next("PROVIDER_AUTH", { remainingMs: -5, hasNext: true })).toEqual({ kind: "stop" });
  });

  it("is another candidate, or nothing, when the retries are used up", () => {
    const used = { retriesUsed: 2, maxRetries: 2 };
    expect(next("PROVIDER_UNAVAILABLE", used)).toEqual({ kind: "stop" });
    expect(next("PROVIDER_UNAVAILABLE", { ...used, hasNext: true })).toEqual({ kind: "failover" });
    expect(next("PROVIDER_UNAVAILABLE", { maxRetries: 0 })).toEqual({ kind: "stop" });
  });

  it("is another candidate at once where one was rate limited, even by a few milliseconds", () => {
    expect(next("PROVIDER_RATE_LIMITED", { retryAfterMs: 6, hasNext: true })).toEqual({
      kind: "failover",
    });
  });
});

describe("the wait before a retry", () => {
  it.each([
    [0, 200],
    [1, 400],
    [2, 800],
    [3, 1600],
    [4, 2000],
    [9, 2000],
  ])("after %i retries is drawn from 0 to %i ms", (retriesUsed, ceilingMs) => {
    for (const random of [0, 0.25, 0.999]) {
      expect(next("PROVIDER_UNAVAILABLE", { retriesUsed, maxRetries: 10, random })).toEqual({
        kind: "retry",
        delayMs: random * ceilingMs,
      });
    }
  });

  it("is never shorter than the upstream asked for", () => {
    for (const [retryAfterMs, delayMs] of [
      [6, 100],
      [3000, 3000],
      [5000, 5000],
    ] as const) {
      expect(next("PROVIDER_RATE_LIMITED", { retryAfterMs })).toEqual({ kind: "retry", delayMs });
    }
  });

  it("is not waited for where the upstream asks for more than the cap", () => {
    const long = { retryAfterMs: 5001 };
    expect(next("PROVIDER_UNAVAILABLE", long)).toEqual({ kind: "stop" });
    expect(next("PROVIDER_UNAVAILABLE", { ...long, hasNext: true })).toEqual({ kind: "failover" });
  });

  it("is not waited for where the request has no longer than that", () => {
    const late = { retryAfterMs: 3000, remainingMs: 3000 };
    expect(next("PROVIDER_UNAVAILABLE", late)).toEqual({ kind: "stop" });
    expect(next("PROVIDER_UNAVAILABLE", { ...late, hasNext: true })).toEqual({ kind: "failover" });
    expect(next("PROVIDER_UNAVAILABLE", { ...late, remainingMs: 3001 }).kind).toBe("retry");
  });

  it("over everything that may fail keeps to the table, the caps and the time", () => {
    fc.assert(
      fc.property(anyFailed, (one) => {
        const answer = nextAttempt(one, rules);
        const row = failureTable[one.code];
        const mayGoOn = !one.committed && one.remainingMs > 0;
        expect(answer.kind === "stop" || mayGoOn).toBe(true);
        expect(answer.kind !== "failover" || (row.failover && one.hasNext)).toBe(true);
        if (answer.kind !== "retry") return;
        expect(row.retry && one.retriesUsed < one.maxRetries).toBe(true);
        expect(answer.delayMs).toBeLessThan(one.remainingMs);
        expect(answer.delayMs).toBeGreaterThanOrEqual(one.retryAfterMs ?? 0);
        expect(answer.delayMs).toBeLessThanOrEqual(
          Math.max(rules.maxBackoffMs, rules.maxRetryAfterMs),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it("ends within as many attempts as there are retries and candidates", () => {
    fc.assert(
      fc.property(anyFailed, fc.integer({ min: 1, max: 5 }), (one, candidates) => {
        let candidate = 1;
        let retriesUsed = 0;
        for (let attempts = 1; ; attempts += 1) {
          expect(attempts).toBeLessThanOrEqual(candidates * (1 + one.maxRetries));
          const hasNext = candidate < candidates;
          const answer = nextAttempt({ ...one, retriesUsed, hasNext }, rules);
          if (answer.kind === "stop") break;
          if (answer.kind === "retry") {
            retriesUsed += 1;
          } else {
            candidate += 1;
            retriesUsed = 0;
          }
        }
      }),
    );
  });
});
