import { inspect } from "node:util";
import {
  FakeClock,
  fakeFlagSource,
  fakeProvider,
  errorReply,
  sampleFeature,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createGuard, envFlags, memoryAdmission, staticFlags } from "./index.ts";

const notReady = () => ({ variable: "SAMPLE_API_KEY", expected: "the account's key" });

describe("describe() of a guard", () => {
  it("prints the chain in order with modes and limits, and the state of its parts", () => {
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({ name: "openai", model: "model-1" }),
      flags: staticFlags({ sample_ai: { enabled: true, percent: 5 } }),
      sinks: [() => 0],
      optIn: (job: SampleJob) => job.allowAI === true,
      allowlist: ["alice", { board: "aqa" }],
      allowlistMode: "include",
      budget: {
        callsPerRun: 50,
        tokensPerRun: 100_000,
        costNanoUsdPerRun: 1_000_000,
        maxOutputTokens: 800,
      },
      prices: { "model-1": { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 } },
      admission: memoryAdmission({
        userInFlight: { limit: 2 },
        messageRate: { count: 5, perMs: 1000, mode: "shadow" },
      }),
      tripwire: { scope: "process", schemaFailures: { max: 0 } },
      gates: { rollout: { mode: "shadow" }, admission: { onIndeterminate: "open" } },
    });
    const description = guard.describe();
    expect(inspect(description)).toBe(String(description));
    expect(String(description)).toBe(
      [
        "feature sample_ai: open at 5 %",
        "  1 feature-flag (enforce, closed when it can't tell): flags from static, at most 5000 ms old",
        "  2 kill-switch (enforce, closed when it can't tell): tripwire per process",
        "  3 opt-in (enforce, closed when it can't tell): asks the application",
        "  4 allowlist (enforce, closed when it can't tell): include, 2 rules",
        "  5 rollout (shadow, closed when it can't tell): bucket(subject) < percent",
        "  6 budget (enforce, closed when it can't tell): 50 calls, 100000 tokens, 1000000 nano-dollars a run; at most 800 output tokens a call",
        "  7 circuit-breaker (enforce, closed when it can't tell): of openai model-1",
        "  8 admission (enforce, open when it can't tell): user in-flight 2 (enforce), message rate 5 per 1000 ms, burst 5 (shadow)",
        "  provider openai model-1, circuit closed",
      ].join("\n"),
    );
    guard.close();
  });

  it("names no cap of a run where the admission store alone holds budgets", () => {
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [() => 0],
      budget: { maxOutputTokens: 800 },
      admission: memoryAdmission({ globalBudget: { calls: 10 } }),
    });
    expect(String(guard.describe())).toMatch(
      / budget \(enforce, closed when it can't tell\): at most 800 output tokens a call$/m,
    );
    guard.close();
  });

  it("leaves out what is not configured", () => {
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [() => 0],
      gates: { "circuit-breaker": { mode: "off" } },
    });
    expect(String(guard.describe())).toBe(
      [
        "feature sample_ai: open at 100 %",
        "  1 feature-flag (enforce, closed when it can't tell): flags from static, at most 5000 ms old",
        "  2 kill-switch (enforce, closed when it can't tell): no tripwire",
        "  3 allowlist (enforce, closed when it can't tell): require, the flags' list if any",
        "  4 rollout (enforce, closed when it can't tell): bucket(subject) < percent",
        "  5 circuit-breaker (off, closed when it can't tell): of fake",
        "  provider fake",
      ].join("\n"),
    );
    guard.close();
  });

  it("names what shuts it, every malformed variable and how it is read, and what the provider lacks", () => {
    const variables = {
      FEATURE_SAMPLE_AI: "yes",
      SAMPLE_AI_KILL: "nope",
      SAMPLE_AI_ROLLOUT_PERCENT: "5%",
    };
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({ notReady }),
      flags: envFlags({ variables }),
      sinks: [() => 0],
    });
    const lines = String(guard.describe()).split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "feature sample_ai: shut, KILLED",
      "  malformed: FEATURE_SAMPLE_AI, expected true or false, read as false",
      "  malformed: SAMPLE_AI_KILL, expected true or false, read as true",
      "  malformed: SAMPLE_AI_ROLLOUT_PERCENT, expected an integer from 0 to 100, read as 0",
    ]);
    expect(lines.at(-1)).toBe("  provider not ready: set SAMPLE_API_KEY to the account's key");
    expect(JSON.stringify(guard.describe())).not.toMatch(/nope|5%/);
    guard.close();
  });

  it("tells the state as it is at each call", async () => {
    const clock = new FakeClock();
    const flags = fakeFlagSource({ clock });
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({
        onCall: (call) => call.reply(errorReply("PROVIDER_UNAVAILABLE")),
      }),
      flags,
      clock,
      breaker: { minCalls: 1 },
      sinks: [() => 0],
    });
    expect(guard.describe()).toMatchObject({
      providers: [{ breaker: "closed" }],
      percent: 100,
    });
    expect(guard.describe()).not.toHaveProperty("shut");
    await guard.run({ prompt: "p" }, { subject: "alice" });
    expect(guard.describe().providers[0]?.breaker).toBe("open");
    flags.set({ percent: 0 });
    expect(guard.describe()).toMatchObject({ percent: 0, shut: { reason: "NOT_IN_ROLLOUT" } });
    clock.advance(6000);
    expect(guard.describe().shut?.reason).toBe("FLAGS_STALE");
    guard.kill();
    expect(guard.describe().shut?.reason).toBe("KILLED");
    guard.close();
  });

  it("I12 counts the events that were dropped", () => {
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [() => 0],
    });
    for (let i = 0; i < 10_007; i += 1) void guard.decide({ prompt: "p" }, { subject: "" });
    expect(guard.describe().eventsDropped).toBe(7);
    guard.close();
  });

  it("answers although the provider throws when it is asked whether it is ready", () => {
    let throws = false;
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({
        notReady: () => {
          if (throws) throw new Error("sentinel");
          return undefined;
        },
      }),
      flags: staticFlags({}),
      sinks: [() => 0],
    });
    throws = true;
    expect(guard.describe().providers).toMatchObject([{ provider: "fake" }]);
    expect(String(guard.describe())).not.toContain("sentinel");
    guard.close();
  });
});

describe("a provider that is not ready", () => {
  it("lets the application start, and the safe path serves; one alert says what to set", async () => {
    const seen: unknown[] = [];
    let ready = false;
    const provider = fakeProvider<SampleJob>({
      notReady: () => (ready ? undefined : notReady()),
    });
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [(event) => event.event === "alert" && seen.push(event)],
    });
    for (let i = 0; i < 3; i += 1) {
      const outcome = await guard.run({ prompt: "p" }, { subject: "alice" });
      expect(outcome).toMatchObject({ status: "STUBBED", reason: "CIRCUIT_OPEN" });
    }
    guard.flush();
    expect(seen).toMatchObject([
      {
        code: "PROVIDER_NOT_READY",
        message:
          "fake can't be called, the safe path serves: set SAMPLE_API_KEY to the account's key",
        variable: "SAMPLE_API_KEY",
      },
    ]);
    ready = true;
    const decision = await guard.decide({ prompt: "p" }, { subject: "alice" });
    expect(decision.effect).toBe("allow");
    guard.giveUp(decision);
    guard.close();
  });

  it("that throws when it is asked keeps the application from nothing: the safe path serves", async () => {
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({
        notReady: () => {
          throw new Error("sentinel");
        },
      }),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [() => 0],
    });
    expect(await guard.run({ prompt: "p" }, { subject: "alice" })).toMatchObject({
      status: "STUBBED",
      reason: "CIRCUIT_OPEN",
    });
    guard.close();
  });
});
