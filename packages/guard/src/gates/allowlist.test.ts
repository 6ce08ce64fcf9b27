import { Reason, type FeatureFlags } from "@sluice/contract";
import { compileAllowlist, parseEnvFlags } from "@sluice/policy";
import { describe, expect, it } from "vitest";
import { allowlistGate } from "./allowlist.ts";
import type { GateContext } from "./gate.ts";

const flags: FeatureFlags = {
  ...parseEnvFlags("chat_ai", {
    enabled: "true",
    kill: undefined,
    allowlist: "ann",
    percent: "5",
  }),
};

function contextOf(subject: string, given: FeatureFlags): GateContext<unknown> {
  return {
    input: undefined,
    request: { subject },
    flags: { flags: given, listed: compileAllowlist(given.allowlist ?? []) },
    shut: undefined,
    included: false,
    holds: [],
    plan: () => ({ strategy: "default", requested: undefined, candidates: [], skipped: [] }),
    skipped: [],
    reserved: undefined,
    shared: undefined,
    admission: undefined,
    permit: undefined,
  };
}

describe("an allowlist in mode include", () => {
  const gate = allowlistGate<unknown>(undefined, "include", {
    mode: "enforce",
    onIndeterminate: "closed",
  });

  it("lets who is listed skip the percentage, and everybody go on to it", () => {
    const listed = contextOf("ann", flags);
    const other = contextOf("bob", flags);
    expect([gate.check(listed), gate.check(other)]).toEqual([
      { effect: "allow" },
      { effect: "allow" },
    ]);
    expect([listed.included, other.included]).toEqual([true, false]);
  });

  it("takes nobody in by a list that may be half written", () => {
    const settling = contextOf("ann", { ...flags, settling: true });
    expect(gate.check(settling)).toEqual({ effect: "allow" });
    expect(settling.included).toBe(false);
  });
});

it("diverts in mode require who is not listed", () => {
  const gate = allowlistGate<unknown>(undefined, "require", {
    mode: "enforce",
    onIndeterminate: "closed",
  });
  expect(gate.check(contextOf("bob", flags))).toEqual({
    effect: "divert",
    reason: Reason.NOT_ALLOWLISTED,
  });
});
