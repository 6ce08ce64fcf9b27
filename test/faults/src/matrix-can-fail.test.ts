import { describe, expect, it } from "vitest";
import { expectCell, type FaultCell } from "./fault-cell.ts";

const cell: Omit<FaultCell, "expected"> = {
  fault: "HTML 502",
  mode: "generate",
  route: "pair",
  maxRetries: 0,
  strikes: "always",
  onFailure: "failed",
};

const glued = { ...cell, fault: "cut after content", mode: "text stream" } as const;

describe.concurrent("a wrong line of the matrix is caught", () => {
  it.for<[what: string, wrong: FaultCell]>([
    ["a call too few", { ...cell, expected: "second 0+1" }],
    ["a call too many", { ...cell, expected: "second 2+1" }],
    ["another provider", { ...cell, expected: "first 1+1" }],
    ["a failure that is none", { ...cell, expected: "PROVIDER_UNAVAILABLE 1+1" }],
    ["another code", { ...cell, route: "one", expected: "STREAM_CUT 1" }],
    ["failover after content", { ...glued, expected: "second 1+1" }],
    ["a cut that passes for a whole", { ...glued, expected: "first 1+0" }],
  ])("%s", async ([, wrong]) => {
    await expect(expectCell(wrong)).rejects.toThrow("expected");
  });
});
