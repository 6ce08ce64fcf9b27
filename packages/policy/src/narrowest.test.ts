import { switchNames, type FeatureFlags, type Switches } from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bucketOf } from "./bucket.ts";
import { narrowest, narrowestSwitches } from "./narrowest.ts";
import { shutBy } from "./shut.ts";

const people = ["ann", "ben", "cat", "dan", "eve"];

const anyFlags: fc.Arbitrary<FeatureFlags> = fc.record({
  enabled: fc.boolean(),
  killed: fc.boolean(),
  percent: fc.integer({ min: 0, max: 100 }),
  allowlist: fc.option(fc.subarray(people), { nil: undefined }),
  salt: fc.constant("chat_ai"),
  version: fc.constant(undefined),
  problems: fc.constant([]),
});

/** Whether the flags let a subject pass, where the allowlist is required. */
function passes(flags: FeatureFlags, subject: string): boolean {
  return (
    shutBy(flags, { killed: false, tripped: false }, false) === undefined &&
    (flags.allowlist?.includes(subject) ?? true) &&
    bucketOf(flags.salt, subject) < flags.percent
  );
}

describe("the narrowest of two readings", () => {
  it("I7 lets pass exactly whom both let pass", () => {
    fc.assert(
      fc.property(anyFlags, anyFlags, (current, next) => {
        const narrow = narrowest(current, next);
        for (const subject of [...people, "stranger"]) {
          expect(passes(narrow, subject)).toBe(passes(current, subject) && passes(next, subject));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("says that a change is under way, so that no list can widen on it", () => {
    fc.assert(
      fc.property(anyFlags, anyFlags, (current, next) => {
        expect(narrowest(current, next).settling).toBe(true);
      }),
    );
  });

  it("is killed by the kill of either", () => {
    fc.assert(
      fc.property(anyFlags, anyFlags, (current, next) => {
        expect(narrowest(current, next).killed).toBe(current.killed || next.killed);
      }),
    );
  });

  it("with itself is itself", () => {
    fc.assert(
      fc.property(anyFlags, (flags) => {
        expect(narrowest(flags, flags)).toEqual({ ...flags, settling: true });
      }),
    );
  });

  it("tells the problems of the newer reading, which somebody is about to mend", () => {
    const problem = { variable: "CHAT_AI_KILL", expected: "true or false", readAs: "true" };
    const [flags] = fc.sample(anyFlags, { numRuns: 1, seed: 1 });
    if (flags === undefined) throw new Error("no sample");
    expect(narrowest(flags, { ...flags, problems: [problem] }).problems).toEqual([problem]);
  });

  it("leaves both readings as they were", () => {
    fc.assert(
      fc.property(anyFlags, anyFlags, (current, next) => {
        const before = structuredClone([current, next]);
        narrowest(current, next);
        expect([current, next]).toEqual(before);
      }),
    );
  });
});

describe("the narrowest of two readings of the switches", () => {
  const anySwitches = fc.record(
    Object.fromEntries(switchNames.map((name) => [name, fc.boolean()])),
  ) as fc.Arbitrary<Switches>;

  it("opens the gateway only where both do, and stays in shadow where either does", () => {
    fc.assert(
      fc.property(anySwitches, anySwitches, (current, next) => {
        const narrow = narrowestSwitches(current, next);
        expect(narrow.FF_CHAT_GATEWAY_ENABLED).toBe(
          current.FF_CHAT_GATEWAY_ENABLED && next.FF_CHAT_GATEWAY_ENABLED,
        );
        expect(narrow.FF_CHAT_GATEWAY_SHADOW).toBe(
          current.FF_CHAT_GATEWAY_SHADOW || next.FF_CHAT_GATEWAY_SHADOW,
        );
        expect(narrow.FF_FAIL_CLOSED_ON_REDIS_ERROR).toBe(
          current.FF_FAIL_CLOSED_ON_REDIS_ERROR || next.FF_FAIL_CLOSED_ON_REDIS_ERROR,
        );
      }),
    );
  });

  it("changes how limits are enforced only once the change is trusted", () => {
    const waiting = switchNames.filter(
      (name) =>
        name !== "FF_CHAT_GATEWAY_ENABLED" &&
        name !== "FF_CHAT_GATEWAY_SHADOW" &&
        name !== "FF_FAIL_CLOSED_ON_REDIS_ERROR",
    );
    fc.assert(
      fc.property(anySwitches, anySwitches, (current, next) => {
        const narrow = narrowestSwitches(current, next);
        for (const name of waiting) expect(narrow[name]).toBe(current[name]);
      }),
    );
  });
});
