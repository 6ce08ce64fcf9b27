import { FailureCode, failureCodes, type ProviderHealth } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { failureOfStatus, failureTable } from "./failure-table.ts";

describe("the failure table", () => {
  it("has one row for each failure code and no other", () => {
    expect(Object.keys(failureTable).toSorted()).toEqual([...failureCodes].toSorted());
  });

  it("lets a breaker learn of the provider's own failures only", () => {
    const learnt = failureCodes.filter((code) => failureTable[code].health === "failure");
    expect(learnt).toEqual([
      "PROVIDER_TIMEOUT",
      "PROVIDER_UNAVAILABLE",
      "STREAM_CUT",
      "STREAM_STALLED",
    ]);
  });

  it("lets a breaker learn nothing from the caller's mistakes, limits, aborts and defects of ours", () => {
    const neutral = failureCodes.filter((code) => failureTable[code].health === "neutral");
    expect(neutral).toEqual([
      "PROVIDER_RATE_LIMITED",
      "PROVIDER_QUOTA",
      "PROVIDER_AUTH",
      "PROVIDER_BAD_REQUEST",
      "KILLED",
      "CLIENT_ABORTED",
      "INTERNAL",
    ]);
  });

  it("shows time that ran out as 504 and every other failure as 502", () => {
    const timeouts = failureCodes.filter((code) => failureTable[code].httpStatus === 504);
    expect(timeouts).toEqual(["PROVIDER_TIMEOUT", "STREAM_STALLED"]);
  });

  it("counts as a schema failure only an answer that came and does not parse", () => {
    const schemaFailures = failureCodes.filter((code) => failureTable[code].schemaFailure);
    expect(schemaFailures).toEqual(["OUTPUT_NOT_JSON", "OUTPUT_SCHEMA_INVALID"]);
  });

  it("does not count a kill or a caller's departure as an error of the AI path", () => {
    const forgiven = failureCodes.filter((code) => !failureTable[code].error);
    expect(forgiven).toEqual(["KILLED", "CLIENT_ABORTED"]);
  });
});

describe("the failure of an upstream's HTTP status", () => {
  it.each([
    [400, FailureCode.PROVIDER_BAD_REQUEST],
    [401, FailureCode.PROVIDER_AUTH],
    [402, FailureCode.PROVIDER_QUOTA],
    [403, FailureCode.PROVIDER_AUTH],
    [404, FailureCode.PROVIDER_BAD_REQUEST],
    [408, FailureCode.PROVIDER_TIMEOUT],
    [409, FailureCode.PROVIDER_UNAVAILABLE],
    [413, FailureCode.PROVIDER_BAD_REQUEST],
    [422, FailureCode.PROVIDER_BAD_REQUEST],
    [425, FailureCode.PROVIDER_UNAVAILABLE],
    [429, FailureCode.PROVIDER_RATE_LIMITED],
    [500, FailureCode.PROVIDER_UNAVAILABLE],
    [502, FailureCode.PROVIDER_UNAVAILABLE],
    [503, FailureCode.PROVIDER_UNAVAILABLE],
    [504, FailureCode.PROVIDER_TIMEOUT],
    [529, FailureCode.PROVIDER_UNAVAILABLE],
  ])("%i is %s", (status, code) => {
    expect(failureOfStatus(status)).toBe(code);
  });

  it("exists for every status, and a client error that stays one never speaks against the provider's health", () => {
    expect(healthsOf(100, 407)).toEqual(new Set(["neutral"]));
    expect(healthsOf(408, 409)).toEqual(new Set(["failure"]));
    expect(healthsOf(410, 424)).toEqual(new Set(["neutral"]));
    expect(healthsOf(425, 425)).toEqual(new Set(["failure"]));
    expect(healthsOf(426, 499)).toEqual(new Set(["neutral"]));
    expect(healthsOf(500, 599)).toEqual(new Set(["failure"]));
  });
});

function healthsOf(first: number, last: number): Set<ProviderHealth> {
  const statuses = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return new Set(statuses.map((status) => failureTable[failureOfStatus(status)].health));
}
