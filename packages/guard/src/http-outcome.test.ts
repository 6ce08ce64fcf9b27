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

  it("tells the figures of admission in its headers, whatever its status, unless they are off", () => {
    const states = [{ dimension: "user_in_flight", limit: 3, remaining: 1, resetMs: 0 }] as const;
    const decision = { ...base.decision, admission: { states } };
    const value = { ...base, decision, path: "ai", value: 1 } as const;
    const headers = {
      "ratelimit-policy": '"user-in-flight";q=3;qu="concurrent-requests"',
      ratelimit: '"user-in-flight";r=1',
    };
    const succeeded = { ...value, status: "SUCCEEDED" } as const;
    const failed = { ...value, status: "FAILED", failure: { code: "INTERNAL" } } as const;
    expect(toHttpOutcome(succeeded)).toMatchObject({ status: 200, headers });
    expect(toHttpOutcome(failed)).toMatchObject({ status: 502, headers });
    expect(toHttpOutcome(succeeded, "off").headers).toEqual({});
  });

  const type = "https://iana.org/assignments/http-problem-types";
  it.each<[Reason, object]>([
    ["USER_IN_FLIGHT", { "violated-policies": ["user-in-flight"] }],
    ["GLOBAL_IN_FLIGHT", { "violated-policies": ["global-in-flight"] }],
    ["MESSAGE_RATE", { "violated-policies": ["message-rate"] }],
    ["BUDGET_CALLS", {}],
  ])("of a rejection for %s is 429 with problem details of an exceeded quota", (reason, named) => {
    const outcome = {
      ...base,
      status: "REJECTED",
      path: "none",
      reason,
      retryAfterMs: 1001,
    } as const;
    expect(toHttpOutcome(outcome)).toEqual({
      status: 429,
      headers: { "retry-after": "2" },
      contentType: "application/problem+json",
      body: {
        type: `${type}#quota-exceeded`,
        title: "Quota Exceeded",
        status: 429,
        reason,
        ...named,
      },
    });
  });

  it("of a rejection because a store can't tell is 503 with problem details of reduced capacity", () => {
    expect(toRejection("STORE_UNAVAILABLE", 1000)).toEqual({
      status: 503,
      headers: { "retry-after": "1" },
      contentType: "application/problem+json",
      body: {
        type: `${type}#temporary-reduced-capacity`,
        title: "Temporary Reduced Capacity",
        status: 503,
        reason: "STORE_UNAVAILABLE",
      },
    });
  });

  it("of a spent budget tells when it is whole again", () => {
    const states = [
      { dimension: "user_budget", unit: "calls", limit: 5, remaining: 0, resetMs: 61_001 },
    ] as const;
    const figures = { states, violated: ["user_budget"] } as const;
    const rejected = toRejection("BUDGET_CALLS", 61_001, figures);
    expect(rejected.headers).toEqual({
      "retry-after": "62",
      "ratelimit-policy": '"user-budget";q=5;w=86400',
      ratelimit: '"user-budget";r=0;t=62',
    });
    expect(rejected.body).toMatchObject({ "violated-policies": ["user-budget"] });
    expect(toRejection("BUDGET_CALLS", 61_001, figures, "off").headers).toEqual({
      "retry-after": "62",
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
    expect(toRejection("MESSAGE_RATE", ms).headers).toEqual({ "retry-after": seconds });
  });
});
