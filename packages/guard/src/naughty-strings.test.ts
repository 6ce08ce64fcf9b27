import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, type Decision } from "@sluice/contract";
import {
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  textReply,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createGuard, envFlags, memoryAdmission, staticFlags } from "./index.ts";

/** The big list of naughty strings, beside the repository. Source: https://github.com/minimaxir/big-list-of-naughty-strings */
const file = join(import.meta.dirname, "../../../../shared/data/naughty/blns.json");

const ours = [
  "__proto__",
  "constructor",
  "a\nlevel=error forged=true",
  "a\u{2028}b",
  "\u{202e}txt.exe",
  "\u{d800}",
  "x".repeat(5000),
  "sample_ai:alice",
  "alice,bob",
];

const strings: readonly string[] = existsSync(file)
  ? [
      ...new Set([
        ...ours,
        ...(JSON.parse(readFileSync(file, "utf8")) as readonly unknown[]).map(String),
      ]),
    ]
  : [];

/** Characters that forge, hide or turn around a line of a log. */
const forging = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

const answering = () =>
  fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sampleAnswer)) });

function open() {
  const record = recordingSink();
  const clock = new FakeClock();
  const provider = answering();
  const guard = createGuard({
    ...sampleFeature,
    provider,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    admission: memoryAdmission({ userInFlight: { limit: 1 }, clock }),
    budget: { callsPerRun: 1, maxOutputTokens: 100 },
    sinks: [record.sink],
  });
  return { guard, provider, record };
}

describe.skipIf(strings.length === 0)("naughty strings", () => {
  it("are a long list", () => {
    expect(strings.length).toBeGreaterThan(400);
  });

  it("as prompts, subjects, runs and attributes crash nothing, and every event keeps to its schema", async () => {
    const { guard, record } = open();
    for (const text of strings) {
      const outcome = await guard.run(
        { prompt: text },
        { subject: text, run: text, attributes: { [text]: text } },
      );
      expect(["SUCCEEDED", "STUBBED"]).toContain(outcome.status);
    }
    guard.flush();
    expect(record.of("decision")).toHaveLength(strings.length);
    expect(record.of("outcome")).toHaveLength(strings.length);
    expect(guard.inFlight).toBe(0);
    guard.close();
  });

  it("as distinct subjects never share a place", async () => {
    const { guard } = open();
    const decisions: Decision[] = [];
    for (const subject of strings) decisions.push(await guard.decide({ prompt: "p" }, { subject }));
    // Those that can never be eligible are diverted; nobody is kept out by another's request.
    expect(decisions.filter((decision) => decision.effect === "reject")).toEqual([]);
    expect(decisions.filter((decision) => decision.effect === "allow").length).toBeGreaterThan(400);
    for (const [index, subject] of strings.entries()) {
      const again = await guard.decide({ prompt: "p" }, { subject });
      const first = decisions[index]?.effect;
      expect(again.effect, JSON.stringify(subject)).toBe(first === "allow" ? "reject" : first);
    }
    guard.close();
  });

  it("as distinct runs never share a budget", async () => {
    const { guard, provider } = open();
    for (const run of strings) {
      const outcome = await guard.run({ prompt: "p" }, { subject: "alice", run });
      expect(outcome.status, JSON.stringify(run)).toBe("SUCCEEDED");
      expect(guard.budget.use(run).calls).toBe(1);
    }
    expect(provider.calls).toHaveLength(strings.length);
    for (const run of strings) {
      const outcome = await guard.run({ prompt: "p" }, { subject: "alice", run });
      expect(outcome).toMatchObject({ status: "STUBBED", reason: "BUDGET_CALLS" });
    }
    guard.close();
  });

  it("as distinct runs never share a tripwire", async () => {
    let garbage = true;
    const provider = fakeProvider<SampleJob>({
      onCall: (call) => call.reply(garbage ? textReply("sorry") : valueReply(sampleAnswer)),
    });
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      tripwire: { scope: "run", schemaFailures: { max: 0 } },
      sinks: [() => 0],
    });
    for (const [index, run] of strings.entries()) {
      garbage = index % 2 === 0;
      await guard.run({ prompt: "p" }, { subject: "alice", run });
    }
    garbage = false;
    for (const [index, run] of strings.entries()) {
      const outcome = await guard.run({ prompt: "p" }, { subject: "alice", run });
      expect(outcome.status, JSON.stringify(run)).toBe(index % 2 === 0 ? "STUBBED" : "SUCCEEDED");
    }
    guard.close();
  });

  it("as allowlisted subjects permit exactly themselves", async () => {
    const listed = strings.filter((text, index) => text !== "" && index % 2 === 0);
    const guard = createGuard({
      ...sampleFeature,
      provider: answering(),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      allowlist: listed,
      sinks: [() => 0],
    });
    for (const subject of strings) {
      const decision = await guard.decide({ prompt: "p" }, { subject });
      guard.giveUp(decision);
      const eligible = subject.isWellFormed() && !subject.includes("\0") && subject.length < 1000;
      if (!eligible) continue;
      const expected = listed.includes(subject) ? "allow" : "divert";
      expect(decision.effect, JSON.stringify(subject)).toBe(expected);
    }
    guard.close();
  });

  it("as feature names are refused in one line or fine", () => {
    for (const feature of strings) {
      const create = () =>
        createGuard({
          ...sampleFeature,
          feature,
          provider: answering(),
          flags: envFlags({ variables: {} }),
          sinks: [() => 0],
        }).close();
      let thrown: unknown;
      try {
        create();
      } catch (error) {
        thrown = error;
      }
      expect(thrown === undefined || ConfigError.isInstance(thrown), feature).toBe(true);
      expect(String(thrown)).not.toMatch(forging);
    }
  });

  it("as values of variables never open, never crash, and are told in one line each", async () => {
    for (const value of strings) {
      const record = recordingSink();
      const provider = answering();
      const variables = {
        FEATURE_SAMPLE_AI: value,
        SAMPLE_AI_KILL: value,
        SAMPLE_AI_ROLLOUT_PERCENT: value,
        SAMPLE_AI_ALLOWLIST: value,
      };
      const guard = createGuard({
        ...sampleFeature,
        provider,
        flags: envFlags({ variables }),
        sinks: [record.sink],
      });
      await guard.run({ prompt: "p" }, { subject: "alice" });
      guard.close();
      expect(provider.calls, JSON.stringify(value)).toHaveLength(0);
      for (const alert of record.of("alert")) expect(alert.message).not.toMatch(forging);
      for (const line of String(guard.describe()).split("\n")) expect(line).not.toMatch(forging);
    }
  });

  it("as a kill kill, but for the four that are no kill", async () => {
    for (const value of strings) {
      const provider = answering();
      const guard = createGuard({
        ...sampleFeature,
        provider,
        flags: envFlags({ variables: { FEATURE_SAMPLE_AI: "true", SAMPLE_AI_KILL: value } }),
        sinks: [() => 0],
      });
      await guard.run({ prompt: "p" }, { subject: "alice" });
      guard.close();
      const kills = !["", "false", "0"].includes(value);
      expect(provider.calls, JSON.stringify(value)).toHaveLength(kills ? 0 : 1);
    }
  });

  it("as a provider's text are FAILED or parse", async () => {
    let text = "";
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({ onCall: (call) => call.reply(textReply(text)) }),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [() => 0],
    });
    for (text of strings) {
      const outcome = await guard.run({ prompt: "p" }, { subject: "alice" });
      expect(outcome).toMatchObject({ status: "FAILED", value: { status: "FAILED" } });
    }
    guard.close();
  });
});
