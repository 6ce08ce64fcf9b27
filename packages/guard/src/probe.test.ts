import type { FeatureFlags, GateMode } from "@sluice/contract";
import { bucketOf } from "@sluice/policy";
import {
  FakeClock,
  fakeFlagSource,
  fakeProvider,
  recordingSink,
  sampleFeature,
  type SampleJob,
} from "@sluice/testkit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createGuard, memoryAdmission, memoryBudgets } from "./index.ts";

const job: SampleJob = { prompt: "p" };

function probedGuard(
  flags: Partial<FeatureFlags>,
  more: {
    readonly optIn?: (input: SampleJob) => boolean;
    readonly allowlist?: readonly (string | Readonly<Record<string, string>>)[];
    readonly allowlistMode?: "require" | "include";
    readonly gates?: Partial<Record<"opt-in" | "allowlist" | "rollout", { mode: GateMode }>>;
  } = {},
) {
  const clock = new FakeClock();
  const recorded = recordingSink();
  const source = fakeFlagSource({ clock, flags });
  const guard = createGuard({
    ...sampleFeature,
    flags: source,
    provider: fakeProvider<SampleJob>(),
    clock,
    sinks: [recorded.sink],
    ...more,
  });
  return { guard, clock, source, recorded };
}

const subjects = fc.oneof(
  fc.constantFrom(
    "alice",
    "bob",
    "甲",
    "🦀",
    "é",
    "e\u0301",
    "",
    "a\0b",
    "\ud800",
    "x".repeat(1025),
  ),
  fc.string({ unit: "grapheme", maxLength: 40 }),
);
const lists = fc.option(fc.subarray(["alice", "bob", "甲"]), { nil: undefined });
const mode = fc.constantFrom<GateMode>("off", "shadow", "enforce");
const flagsOf = fc.record({
  enabled: fc.boolean(),
  killed: fc.boolean(),
  percent: fc.integer({ min: 0, max: 100 }),
  allowlist: lists,
  salt: fc.constantFrom("", "salt", "盐"),
  version: fc.option(fc.nat(), { nil: undefined }),
});

describe("a probe", () => {
  it("says what a decision says, over flags, lists, modes and subjects", () => {
    let allowed = 0;
    fc.assert(
      fc.property(
        fc.record({
          flags: fc.oneof(
            flagsOf,
            flagsOf.map((flags) => ({ ...flags, enabled: true, killed: false })),
          ),
          subject: subjects,
          allowAI: fc.boolean(),
          rules: fc.option(
            fc.subarray<string | { readonly plan: string }>(["alice", { plan: "gold" }]),
            { nil: undefined },
          ),
          plan: fc.constantFrom("gold", "free"),
          allowlistMode: fc.constantFrom("require" as const, "include" as const),
          modes: fc.tuple(mode, mode, mode),
          stale: fc.boolean(),
        }),
        (given) => {
          const { guard, clock } = probedGuard(given.flags, {
            optIn: (input) => input.allowAI === true,
            ...(given.rules === undefined ? {} : { allowlist: given.rules }),
            allowlistMode: given.allowlistMode,
            gates: {
              "opt-in": { mode: given.modes[0] },
              allowlist: { mode: given.modes[1] },
              rollout: { mode: given.modes[2] },
            },
          });
          if (given.stale) clock.advance(6000);
          const input = { prompt: "p", allowAI: given.allowAI };
          const attributes = { plan: given.plan };
          const probe = guard.probe(given.subject, { input, attributes });
          const decision = guard.decide(input, { subject: given.subject, attributes });
          if (decision instanceof Promise) throw new Error("no store is asked");
          if (decision.effect === "allow") allowed += 1;
          guard.giveUp(decision);
          guard.close();
          const { effect, gate, reason, flagVersion, closed } = decision;
          expect({ gate: undefined, reason: undefined, flagVersion: undefined, ...probe }).toEqual({
            effect,
            gate,
            reason,
            flagVersion,
            closed,
            percent: given.flags.percent,
            without: [],
            ...("bucket" in probe && { bucket: bucketOf(given.flags.salt, given.subject) }),
          });
        },
      ),
      { numRuns: 500 },
    );
    expect(allowed).toBeGreaterThan(20);
  });

  it("takes no hold, asks no store, calls nobody and tells of nothing", () => {
    const clock = new FakeClock();
    const recorded = recordingSink();
    const provider = fakeProvider<SampleJob>();
    const admission = memoryAdmission({ globalInFlight: { limit: 1 }, clock });
    const store = memoryBudgets({ clock });
    let asked = 0;
    const guard = createGuard({
      ...sampleFeature,
      flags: fakeFlagSource({ clock }),
      provider,
      clock,
      admission: {
        ...admission,
        acquire: (...args) => {
          asked += 1;
          return admission.acquire(...args);
        },
      },
      budget: {
        callsPerRun: 1,
        maxOutputTokens: 10,
        store: {
          ...store,
          reserve: (...args) => {
            asked += 1;
            return store.reserve(...args);
          },
        },
      },
      sinks: [recorded.sink],
    });
    for (let i = 0; i < 10; i += 1) {
      expect(guard.probe("alice", { input: job }).effect).toBe("allow");
      expect(guard.inFlight).toBe(0);
    }
    guard.kill();
    guard.flush();
    const before = recorded.events.length;
    expect(guard.probe("alice")).toMatchObject({
      effect: "divert",
      reason: "KILLED",
      closed: true,
    });
    guard.flush();
    expect(recorded.events).toHaveLength(before);
    expect(recorded.of("decision")).toEqual([]);
    expect(recorded.of("disabled_noop")).toEqual([]);
    expect(provider.calls).toHaveLength(0);
    expect(asked).toBe(0);
  });

  it("says what it was not given", () => {
    const { guard } = probedGuard({}, { optIn: () => false, allowlist: ["bob", { plan: "gold" }] });
    expect(guard.probe("bob")).toMatchObject({ effect: "allow", without: ["input", "attributes"] });
    expect(guard.probe("alice")).toMatchObject({ reason: "NOT_ALLOWLISTED" });
    expect(guard.probe("alice", { attributes: { plan: "gold" } })).toMatchObject({
      effect: "allow",
      without: ["input"],
    });
    expect(guard.probe("bob", { input: job, attributes: {} })).toMatchObject({
      reason: "NOT_OPTED_IN",
      without: [],
    });
    expect(probedGuard({}).guard.probe("alice").without).toEqual([]);
    expect(
      probedGuard({}, { optIn: () => false, gates: { "opt-in": { mode: "off" } } }).guard.probe(
        "a",
      ),
    ).toMatchObject({ effect: "allow", without: [] });
  });

  it("an opt-in that throws diverts as it does for a decision, and nobody is told", () => {
    const { guard, recorded } = probedGuard(
      {},
      {
        optIn: () => {
          throw new Error("no");
        },
      },
    );
    expect(guard.probe("alice", { input: job })).toMatchObject({ reason: "NOT_OPTED_IN" });
    guard.flush();
    expect(recorded.events).toEqual([]);
  });

  it("has no bucket where the feature is shut or the subject never eligible", () => {
    const { guard, source, clock } = probedGuard({ percent: 50 });
    expect(guard.probe("alice").bucket).toBe(bucketOf("salt", "alice"));
    expect(guard.probe("")).toMatchObject({ effect: "divert", reason: "NOT_IN_ROLLOUT" });
    expect(guard.probe("")).not.toHaveProperty("bucket");
    clock.advance(6000);
    expect(guard.probe("alice")).toMatchObject({ reason: "FLAGS_STALE", closed: false });
    source.confirm();
    source.set({ percent: 0, version: 7 });
    expect(guard.probe("alice")).toEqual({
      effect: "divert",
      gate: "feature-flag",
      reason: "NOT_IN_ROLLOUT",
      flagVersion: 7,
      percent: 0,
      closed: true,
      without: [],
    });
  });
});
