import {
  errorReply,
  fakeAdmissionStore,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleFeature,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createGuard, memoryAdmission, staticFlags, type GateCheck } from "./index.ts";

const job: SampleJob = { prompt: "p" };
const request = { subject: "alice", run: "run" };

function guarded(more: Pick<Parameters<typeof createGuard>[0], "gates"> = {}) {
  const clock = new FakeClock();
  const flags = staticFlags({ sample_ai: { enabled: true } });
  const record = recordingSink();
  const admission = memoryAdmission({ globalInFlight: { limit: 1 }, clock });
  const guard = createGuard({
    ...sampleFeature,
    provider: fakeProvider<SampleJob>({
      onCall: (call) => call.reply(errorReply("PROVIDER_UNAVAILABLE")),
    }),
    flags,
    clock,
    admission,
    optIn: (asked: SampleJob) => asked.allowAI === true,
    allowlist: ["alice"],
    budget: { callsPerRun: 1, maxOutputTokens: 100 },
    breaker: { minCalls: 1 },
    sinks: [record.sink],
    ...more,
  });
  return { guard, flags, admission, record };
}

/** The answer of a gate that asks no remote store. */
function atOnce(check: GateCheck | Promise<GateCheck>): GateCheck {
  if (check instanceof Promise) throw new Error("the gate made a promise");
  return check;
}

describe("a gate that is asked alone", () => {
  it("says what it alone says", () => {
    const { guard, flags } = guarded();
    expect(guard.check("opt-in", job, request)).toMatchObject({
      effect: "divert",
      reason: "NOT_OPTED_IN",
    });
    expect(guard.check("allowlist", job, request)).toMatchObject({ effect: "allow" });
    expect(guard.check("allowlist", job, { subject: "bob" })).toMatchObject({
      effect: "divert",
      reason: "NOT_ALLOWLISTED",
    });
    expect(guard.check("rollout", job, request)).toMatchObject({ effect: "allow" });
    expect(guard.check("rollout", job, { subject: "" })).toMatchObject({
      reason: "NOT_IN_ROLLOUT",
    });
    expect(guard.check("feature-flag", job, request)).toMatchObject({ effect: "allow" });
    flags.set("sample_ai", { enabled: false });
    expect(guard.check("feature-flag", job, request)).toMatchObject({ reason: "FLAG_OFF" });
  });

  it.each([
    [true, "allow"],
    [false, "divert"],
    [undefined, "divert"],
    ["true", "divert"],
    [1, "divert"],
    [{}, "divert"],
    [Promise.resolve(true), "divert"],
  ])("takes nothing but true for an opt-in: %j", (answer, effect) => {
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: staticFlags({}),
      optIn: () => answer as boolean,
      sinks: [() => 0],
    });
    expect(guard.check("opt-in", job, request)).toMatchObject({ effect });
    guard.close();
  });

  it("I1 kills, whatever kills", () => {
    const { guard, flags } = guarded();
    expect(guard.check("kill-switch", job, request)).toMatchObject({ effect: "allow" });
    guard.kill();
    expect(guard.check("kill-switch", job, request)).toMatchObject({ reason: "KILLED" });
    guard.restore();
    flags.set("sample_ai", { killed: true });
    expect(guard.check("kill-switch", job, request)).toMatchObject({ reason: "KILLED" });
  });

  it("takes what the caller gives back, once", () => {
    const { guard } = guarded();
    const first = atOnce(guard.check("budget", job, request));
    expect(first.effect).toBe("allow");
    expect(guard.check("budget", job, request)).toMatchObject({ reason: "BUDGET_CALLS" });
    first.release({ how: "void" });
    first.release({ how: "void" });
    expect(guard.budget.use("run").calls).toBe(0);
    const second = atOnce(guard.check("budget", job, request));
    second.release({
      how: "settle",
      usage: { inputTokens: 1, outputTokens: 2 },
      health: "success",
    });
    expect(guard.budget.use("run")).toMatchObject({ calls: 1, tokens: 3 });
  });

  it("shares its state with the chain", async () => {
    const { guard, admission } = guarded();
    const place = atOnce(guard.check("admission", job, request));
    expect(guard.check("admission", job, request)).toMatchObject({
      effect: "reject",
      reason: "GLOBAL_IN_FLIGHT",
      retryAfterMs: 1000,
    });
    expect(await guard.run({ ...job, allowAI: true }, request)).toMatchObject({
      status: "REJECTED",
    });
    place.release({ how: "void" });
    expect(admission.acquire("bob")).toMatchObject({ admitted: true });
    const permit = atOnce(guard.check("circuit-breaker", job, request));
    permit.release({ how: "settle", health: "failure" });
    expect(guard.check("circuit-breaker", job, request)).toMatchObject({
      effect: "divert",
      reason: "CIRCUIT_OPEN",
    });
  });

  it("is not obeyed in shadow, and not asked where it is off", () => {
    for (const mode of ["shadow", "off"] as const) {
      const { guard } = guarded({ gates: { "opt-in": { mode }, allowlist: { mode } } });
      expect(guard.check("opt-in", job, request)).toMatchObject({ effect: "allow" });
      expect(guard.check("allowlist", job, { subject: "bob" })).toMatchObject({
        effect: "allow",
      });
    }
  });

  it("that is not configured has no opinion", () => {
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: staticFlags({}),
      sinks: [() => 0],
    });
    const check = atOnce(guard.check("budget", job, request));
    expect(check.effect).toBe("allow");
    check.release({ how: "void" });
    guard.close();
  });

  it("waits for a remote store, and gives its place back", async () => {
    const admission = fakeAdmissionStore({ limit: 1 });
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: staticFlags({}),
      admission,
      sinks: [() => 0],
    });
    const asking = guard.check("admission", job, request);
    admission.pending[0]?.answer();
    const check = await asking;
    expect(check.effect).toBe("allow");
    expect(admission.held).toBe(1);
    check.release({ how: "void" });
    expect(admission.held).toBe(0);
    guard.close();
  });

  it("that throws is closed, told once, and never says what was thrown", () => {
    const record = recordingSink();
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: staticFlags({}),
      optIn: () => {
        throw new Error("sentinel");
      },
      sinks: [record.sink],
    });
    for (let i = 0; i < 3; i += 1) {
      expect(guard.check("opt-in", job, request)).toMatchObject({
        effect: "divert",
        reason: "NOT_OPTED_IN",
      });
    }
    guard.close();
    expect(record.of("alert")).toMatchObject([{ code: "DEPENDENCY_THREW" }]);
    expect(JSON.stringify(record.events)).not.toContain("sentinel");
  });
});
