import type { AdmissionDimension, AdmissionFigures, AdmissionState } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { rateLimitFields, violatedPolicies } from "./rate-limit-fields.ts";

const states: readonly AdmissionState[] = [
  { dimension: "user_in_flight", limit: 3, remaining: 2, resetMs: 0 },
  { dimension: "global_in_flight", limit: 500, remaining: 87, resetMs: 0 },
  { dimension: "message_rate", limit: 20, remaining: 12, resetMs: 1600 },
  { dimension: "user_budget", unit: "calls", limit: 50, remaining: 41, resetMs: 40_000_000 },
  { dimension: "global_budget", unit: "calls", limit: 9000, remaining: 800, resetMs: 40_000_000 },
];

const refusedBy = (...violated: readonly AdmissionDimension[]): AdmissionFigures => ({
  states,
  violated,
});

const one = (state: Partial<AdmissionState>): AdmissionFigures => ({
  states: [{ dimension: "user_in_flight", limit: 3, remaining: 2, resetMs: 0, ...state }],
});

describe("the fields of an admitted request", () => {
  it("tell the subject's own limits, and nothing of what all share", () => {
    expect(rateLimitFields({ states }, "subject")).toEqual({
      "ratelimit-policy":
        '"user-in-flight";q=3;qu="concurrent-requests", "user-budget";q=50;w=86400',
      ratelimit: '"user-in-flight";r=2, "user-budget";r=41;t=40000',
    });
  });

  it("tell all limits where that is asked for", () => {
    expect(rateLimitFields({ states }, "all")).toEqual({
      "ratelimit-policy":
        '"user-in-flight";q=3;qu="concurrent-requests", ' +
        '"global-in-flight";q=500;qu="concurrent-requests", "message-rate";q=20, ' +
        '"user-budget";q=50;w=86400, "global-budget";q=9000;w=86400',
      ratelimit:
        '"user-in-flight";r=2, "global-in-flight";r=87, "message-rate";r=12;t=2, ' +
        '"user-budget";r=41;t=40000, "global-budget";r=800;t=40000',
    });
  });

  it.each<[what: string, figures: AdmissionFigures | undefined]>([
    ["nothing was counted", undefined],
    ["the store tells no states", {}],
    ["no dimension is counted", { states: [] }],
    ["only what all share is counted", one({ dimension: "message_rate" })],
    ["the limit is in shadow", one({ mode: "shadow" })],
    ["the limit is off", one({ mode: "off" })],
    ["a budget counts tokens", one({ dimension: "user_budget", unit: "tokens" })],
    ["a budget counts money", one({ dimension: "user_budget", unit: "nano_usd" })],
    ["a budget does not say what it counts", one({ dimension: "user_budget" })],
    ["the dimension is unknown", one({ dimension: '"x\r\n' as AdmissionDimension })],
  ])("are absent where %s", (_, figures) => {
    expect(rateLimitFields(figures, "subject")).toEqual({});
  });

  it("read nothing where they are off", () => {
    const unread: AdmissionFigures = {
      get states(): never {
        throw new Error("read");
      },
    };
    expect(rateLimitFields(unread, "off")).toEqual({});
  });

  it.each<[what: string, state: Partial<AdmissionState>, policy: string, limit: string]>([
    ["fractions", { limit: 2.9, remaining: 1.9, resetMs: 1 }, "q=2", "r=1;t=1"],
    ["negative numbers", { limit: -1, remaining: -2, resetMs: -3 }, "q=0", "r=0"],
    ["no number", { limit: Number.NaN, remaining: Number.NaN, resetMs: Number.NaN }, "q=0", "r=0"],
    [
      "more digits than a structured field has",
      { limit: Number.MAX_SAFE_INTEGER, remaining: 1e21, resetMs: Number.POSITIVE_INFINITY },
      "q=999999999999999",
      "r=999999999999999;t=999999999999999",
    ],
  ])("are integers of a structured field, of %s too", (_, state, policy, limit) => {
    expect(rateLimitFields(one(state), "subject")).toEqual({
      "ratelimit-policy": `"user-in-flight";${policy};qu="concurrent-requests"`,
      ratelimit: `"user-in-flight";${limit}`,
    });
  });
});

describe("the fields of a refusal", () => {
  it("leave nothing of what refused, and tell a time of nothing else", () => {
    const { ratelimit } = rateLimitFields(refusedBy("user_in_flight"), "all", 3);
    expect(ratelimit).toBe(
      '"user-in-flight";r=0, "global-in-flight";r=87, "message-rate";r=12, ' +
        '"user-budget";r=41, "global-budget";r=800',
    );
  });

  it.each([
    [1, 1],
    [40_000, 40_000],
    // The budget refused besides another limit whose wait is longer.
    [90_000, 40_000],
  ])("tell no time later than Retry-After: %d s", (retrySeconds, t) => {
    const { ratelimit } = rateLimitFields(refusedBy("user_budget"), "subject", retrySeconds);
    expect(ratelimit).toBe(`"user-in-flight";r=2, "user-budget";r=0;t=${t}`);
  });
});

describe("the violated policies", () => {
  it("are those that refused", () => {
    const figures = refusedBy("user_in_flight", "global_budget");
    expect(violatedPolicies("BUDGET_CALLS", figures)).toEqual(["user-in-flight", "global-budget"]);
  });

  it.each([
    ["USER_IN_FLIGHT", ["user-in-flight"]],
    ["GLOBAL_IN_FLIGHT", ["global-in-flight"]],
    ["MESSAGE_RATE", ["message-rate"]],
    // Whose budget it was nobody says.
    ["BUDGET_TOKENS", undefined],
    ["STORE_UNAVAILABLE", undefined],
  ] as const)("follow from the reason where the store names none: %s", (reason, names) => {
    expect(violatedPolicies(reason, undefined)).toEqual(names);
    expect(violatedPolicies(reason, { states })).toEqual(names);
  });
});
