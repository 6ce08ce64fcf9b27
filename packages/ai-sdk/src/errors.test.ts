import { APICallError } from "@ai-sdk/provider";
import { describe, expect, it } from "vitest";
import { SluiceDeniedError } from "./sluice-denied-error.ts";
import { SluiceFailedError } from "./sluice-failed-error.ts";

const decision = { id: "d-1", retryAfterMs: 5000 };
const denied = new SluiceDeniedError({ effect: "reject", reason: "MESSAGE_RATE", decision });
const failed = new SluiceFailedError("STREAM_CUT", { cause: new Error("terminated") });

const ofAnotherCopy = (code: string) => Object.assign(new Error("x"), { code });

describe("an error of ours", () => {
  it("says its codes, and nothing else", () => {
    expect(denied).toMatchObject({
      name: "SluiceDeniedError",
      message: "sluice: rejected (MESSAGE_RATE)",
      code: "SLUICE_DENIED",
      decisionId: "d-1",
      retryAfterMs: 5000,
    });
    expect(failed).toMatchObject({
      name: "SluiceFailedError",
      message: "sluice: the call failed (STREAM_CUT)",
      code: "SLUICE_FAILED",
    });
  });

  it("has a time to wait only where it was rejected", () => {
    const divert = new SluiceDeniedError({ effect: "divert", reason: "KILLED", decision });
    expect(divert.retryAfterMs).toBeUndefined();
    expect(divert.message).toBe("sluice: diverted (KILLED)");
  });

  it("is known across two copies of the package, and is no other", () => {
    expect(SluiceDeniedError.isInstance(denied)).toBe(true);
    expect(SluiceDeniedError.isInstance(ofAnotherCopy("SLUICE_DENIED"))).toBe(true);
    expect(SluiceDeniedError.isInstance(failed)).toBe(false);
    expect(SluiceFailedError.isInstance(failed)).toBe(true);
    expect(SluiceFailedError.isInstance(ofAnotherCopy("SLUICE_FAILED"))).toBe(true);
    expect(SluiceFailedError.isInstance(denied)).toBe(false);
    expect(SluiceFailedError.isInstance({ code: "SLUICE_FAILED" })).toBe(false);
  });

  it("is nothing that the AI SDK would retry", () => {
    for (const error of [denied, failed]) {
      expect(APICallError.isInstance(error)).toBe(false);
      expect(error.isRetryable).toBe(false);
    }
  });
});
