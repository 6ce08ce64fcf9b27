import { failureCodes, type FailureCode, type Outcome, type Reason } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { toHttpOutcome, toRejection } from "./http-outcome.ts";

const base: Pick<Outcome<unknown, unknown, unknown>, "decision" | "record"> = {
  decision: {
    id: "id",
    feature: "sample_ai",
    effect: "allow",
    trail: [],
    closed: false,
  },
  record: {
    requestId: "r",
    fallbackUsed: false,
    latencyMs: 1,
    attempts: [],
    skipped: [],
    tools: [],
    measures: {},
  },
};

const json = { headers: {}, contentType: "application/json" };
const timeouts: readonly FailureCode[] = ["PROVIDER_TIMEOUT", "STREAM_STALLED"];

const fellBack = { ...base.record, fallbackUsed: true };

describe("an outcome as HTTP", () => {
  it("of success is 200 with the value", () => {
    const outcome = { ...base, status: "SUCCEEDED", path: "ai", value: { a: 1 } } as const;
    expect(toHttpOutcome(outcome)).toEqual({ ...json, status: 200, body: { a: 1 } });
  });

  it("of the safe path is 200 with its value, whatever diverted it", () => {
    const outcome = {
      ...base,
      status: "STUBBED",
      path: "stub",
      value: "s",
      reason: "KILLED",
    } as const;
    expect(toHttpOutcome(outcome)).toEqual({ ...json, status: 200, body: "s" });
  });

  it.each(failureCodes.map((code) => [code, timeouts.includes(code) ? 504 : 502] as const))(
    "of the failure %s is %i with the FAILED value, or 200 where the safe path answered",
    (code, status) => {
      const failed = { ...base, status: "FAILED", value: "f", failure: { code } } as const;
      expect(toHttpOutcome({ ...failed, path: "ai" })).toEqual({ ...json, status, body: "f" });
      // Another provider was called, and failed too.
      expect(toHttpOutcome({ ...failed, path: "ai", record: fellBack }).status).toBe(status);
      expect(toHttpOutcome({ ...failed, path: "stub", record: fellBack })).toEqual({
        ...json,
        status: 200,
        body: "f",
      });
    },
  );

  it.each<[Reason, number, string, Record<string, string>]>([
    ["USER_IN_FLIGHT", 429, "Too many requests", { ratelimit: `"user-in-flight";r=0;t=2` }],
    ["GLOBAL_IN_FLIGHT", 429, "Too many requests", { ratelimit: `"global-in-flight";r=0;t=2` }],
    ["MESSAGE_RATE", 429, "Too many requests", { ratelimit: `"message-rate";r=0;t=2` }],
    ["STORE_UNAVAILABLE", 503, "Reduced capacity", {}],
  ])("of a rejection for %s is %i problem details", (reason, status, title, fields) => {
    const outcome = {
      ...base,
      status: "REJECTED",
      path: "none",
      reason,
      retryAfterMs: 1001,
    } as const;
    expect(toHttpOutcome(outcome)).toEqual({
      status,
      headers: { "retry-after": "2", ...fields },
      contentType: "application/problem+json",
      body: { type: "about:blank", title, status, reason },
    });
  });

  it.each([
    [0, "1"],
    [0.2, "1"],
    [1000, "1"],
    [1000.5, "2"],
    [59_999, "60"],
    // What no store may say.
    [Number.NaN, "1"],
    [Number.POSITIVE_INFINITY, "1"],
    [-5, "1"],
  ])("asks to come back after %d ms in whole seconds, never early: %s", (ms, seconds) => {
    expect(toRejection("MESSAGE_RATE", ms).headers).toEqual({
      "retry-after": seconds,
      ratelimit: `"message-rate";r=0;t=${seconds}`,
    });
  });
});
