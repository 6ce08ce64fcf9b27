import { defineContract } from "@sluice/contract";
import { FakeClock, fakeProvider } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createGuard, staticFlags } from "./index.ts";

const members = {
  ok: z.object({ status: z.literal("OK"), reply: z.string().min(3) }),
  failed: z.object({ status: z.literal("FAILED") }),
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
};

const guardOf = (isText: boolean) =>
  createGuard({
    feature: "chat_ai",
    contract: isText
      ? defineContract({
          ...members,
          text: { field: "reply", maxChars: 10, forbidden: ["secret"] },
        })
      : defineContract(members),
    failed: () => ({ status: "FAILED" }),
    stub: () => ({ status: "STUB", reply: "stub" }),
    provider: fakeProvider<string>(),
    flags: staticFlags({ chat_ai: { enabled: true } }),
    clock: new FakeClock(),
    onFailure: "failed",
    sinks: [() => undefined],
  });

describe("a value as text", () => {
  it("is the field that the contract calls its text", () => {
    expect(guardOf(true).textOf({ status: "OK", reply: "Hello" })).toBe("Hello");
  });

  it("is its JSON where the contract has none, or the value lacks it", () => {
    expect(guardOf(false).textOf({ reply: "Hello" })).toBe('{"reply":"Hello"}');
    expect(guardOf(true).textOf({ status: "FAILED" })).toBe('{"status":"FAILED"}');
  });

  it.each([undefined, () => undefined, Symbol("s")])(
    "is none of what JSON has no form for",
    (odd) => {
      expect(guardOf(true).textOf(odd)).toBe("");
    },
  );
});

describe("a value that somebody else made", () => {
  it.each<[what: string, value: unknown, isAnswer: boolean]>([
    ["of the contract", { status: "OK", reply: "Hello" }, true],
    ["of its stub member", { status: "STUB", reply: "Hello" }, false],
    ["too short", { status: "OK", reply: "He" }, false],
    ["longer than its text may be", { status: "OK", reply: "Hello, Ann." }, false],
    ["with a forbidden pattern", { status: "OK", reply: "a SECRET" }, false],
    ["that is none", undefined, false],
  ])("%s is an answer or not", (_, value, isAnswer) => {
    expect(guardOf(true).isAnswer(value)).toBe(isAnswer);
  });

  it("is no answer where the contract throws", () => {
    const reply = z.string().refine(() => {
      throw new Error("a defect");
    });
    const throwing = z.object({ status: z.literal("OK"), reply });
    const guard = createGuard({
      feature: "chat_ai",
      contract: defineContract({ ...members, ok: throwing }),
      failed: () => ({ status: "FAILED" }),
      stub: () => ({ status: "STUB", reply: "stub" }),
      provider: fakeProvider<string>(),
      flags: staticFlags({ chat_ai: { enabled: true } }),
      onFailure: "failed",
      sinks: [() => undefined],
    });
    expect(guard.isAnswer({ reply: "a" })).toBe(false);
  });
});
