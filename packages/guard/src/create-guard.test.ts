import type { AdmissionStore, Decision, FlagSource, SluiceEvent } from "@sluice/contract";
import {
  fakeAdmissionStore,
  FakeClock,
  fakeFlagSource,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createGuard, memoryAdmission, memoryBudgets, staticFlags } from "./index.ts";

const job: SampleJob = { prompt: "p" };
const request = { subject: "alice", run: "run" };

function openGuard(feature = "sample_ai") {
  const clock = new FakeClock();
  const record = recordingSink();
  const provider = fakeProvider<SampleJob>();
  const admission = memoryAdmission({ globalInFlight: { limit: 2 }, leaseMs: 1000, clock });
  const guard = createGuard({
    ...sampleFeature,
    feature,
    provider,
    flags: staticFlags({ [feature]: { enabled: true } }),
    clock,
    admission,
    budget: { callsPerRun: 10, maxOutputTokens: 100 },
    breaker: { minCalls: 1 },
    sinks: [record.sink],
  });
  return { guard, provider, clock, record, admission };
}

/** A decision that is there at once: there is no remote store. */
function decided(decision: Decision | Promise<Decision>): Decision {
  if (decision instanceof Promise) throw new Error("the chain made a promise");
  return decision;
}

describe("a decision", () => {
  it("is there at once with local stores, and calls nobody", () => {
    const { guard, provider } = openGuard();
    const decision = decided(guard.decide(job, request));
    expect(decision).toMatchObject({ effect: "allow", feature: "sample_ai", closed: false });
    expect(decision.trail.map((entry) => entry.gate)).toEqual([
      "feature-flag",
      "kill-switch",
      "allowlist",
      "rollout",
      "budget",
      "circuit-breaker",
      "admission",
    ]);
    expect(provider.calls).toHaveLength(0);
    expect(guard.inFlight).toBe(1);
    expect(guard.budget.use("run").calls).toBe(1);
  });

  it("that diverts or rejects holds nothing", () => {
    const { guard } = openGuard();
    decided(guard.decide(job, request));
    decided(guard.decide(job, request));
    expect(decided(guard.decide(job, request))).toMatchObject({ effect: "reject" });
    expect(decided(guard.decide(job, { subject: "" }))).toMatchObject({ effect: "divert" });
    expect(guard.inFlight).toBe(2);
    expect(guard.budget.use("run").calls).toBe(2);
  });

  it("has what admission counted, computed when it is read and only then", () => {
    const { guard, admission } = openGuard();
    let reads = 0;
    const counting: AdmissionStore = {
      ...admission,
      acquire(subject) {
        const reply = admission.acquire(subject);
        if (reply === "unavailable" || reply instanceof Promise) throw new Error("it is local");
        return new Proxy(reply, {
          get(target, name) {
            if (name === "states") reads += 1;
            return Reflect.get(target, name) as unknown;
          },
        });
      },
    };
    const clock = new FakeClock();
    const flags = staticFlags({ sample_ai: { enabled: true } });
    const provider = fakeProvider<SampleJob>();
    const parts = { ...sampleFeature, provider, flags, clock, sinks: [() => undefined] };
    const counted = createGuard({ ...parts, admission: counting });
    const decision = decided(counted.decide(job, request));
    counted.flush();
    expect(JSON.stringify([decision, { ...decision }])).not.toContain("in_flight");
    expect(reads).toBe(0);
    expect(decision.admission?.violated).toBeUndefined();
    expect(decision.admission?.states).toMatchObject([
      { dimension: "global_in_flight", limit: 2, remaining: 1 },
    ]);
    expect(reads).toBe(1);
    decided(guard.decide(job, request));
    expect(decided(guard.decide(job, request)).admission).toMatchObject({
      violated: ["global_in_flight"],
      states: [{ remaining: 0 }],
    });
    expect(decided(guard.decide(job, { subject: "" })).admission).toBeUndefined();
  });

  it("is executed once", async () => {
    const { guard, provider } = openGuard();
    const decision = decided(guard.decide(job, request));
    const running = guard.execute(decision);
    await expect(guard.execute(decision)).rejects.toThrow(TypeError);
    provider.last().reply(valueReply(sampleAnswer));
    expect(await running).toMatchObject({ status: "SUCCEEDED" });
    await expect(guard.execute(decision)).rejects.toThrow(TypeError);
    expect(provider.calls).toHaveLength(1);
    expect(guard.budget.use("run").calls).toBe(1);
  });

  it("that is given up gives back what it took, once, and is executed no more", async () => {
    const { guard, provider } = openGuard();
    const decision = decided(guard.decide(job, request));
    guard.giveUp(decision);
    guard.giveUp(decision);
    expect(guard.inFlight).toBe(0);
    expect(guard.budget.use("run").calls).toBe(0);
    await expect(guard.execute(decision)).rejects.toThrow(TypeError);
    expect(provider.calls).toHaveLength(0);
  });

  it("I1 I3 that is being executed can't be given up: its call stays charged and abortable", async () => {
    const { guard, provider } = openGuard();
    const decision = decided(guard.decide(job, request));
    const running = guard.execute(decision);
    guard.giveUp(decision);
    expect(guard.inFlight).toBe(1);
    expect(guard.budget.use("run").calls).toBe(1);
    guard.kill();
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(await running).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    expect(guard.budget.use("run").calls).toBe(1);
  });

  it("I4 that nobody executes gives back what it took after half a minute", async () => {
    const { guard, clock, provider } = openGuard();
    const decision = decided(guard.decide(job, request));
    clock.advance(29_000);
    expect(guard.inFlight).toBe(1);
    clock.advance(2000);
    expect(guard.inFlight).toBe(0);
    expect(guard.budget.use("run").calls).toBe(0);
    await expect(guard.execute(decision)).rejects.toThrow(TypeError);
    expect(provider.calls).toHaveLength(0);
    clock.advance(1000);
    expect(clock.pendingTimers).toBe(0);
  });

  it("I4 that is executed late keeps its place meanwhile and afterwards gives it back", async () => {
    const { guard, clock, provider, admission } = openGuard();
    const first = decided(guard.decide(job, request));
    decided(guard.decide(job, request));
    clock.advance(20_000);
    expect(admission.acquire("bob")).toMatchObject({ admitted: false });
    const running = guard.execute(first);
    clock.advance(20_000);
    expect(provider.last().asked.signal.aborted).toBe(false);
    provider.last().reply(valueReply(sampleAnswer));
    expect(await running).toMatchObject({ status: "SUCCEEDED" });
    expect(guard.inFlight).toBe(0);
  });

  it("of another guard is refused, whatever the guards are called", async () => {
    const mine = openGuard();
    const namesake = openGuard();
    const stranger = openGuard("other_ai");
    for (const { guard, provider } of [namesake, stranger]) {
      const decision = decided(guard.decide(job, request));
      await expect(mine.guard.execute(decision)).rejects.toThrow(TypeError);
      expect(() => mine.guard.giveUp(decision)).toThrow(TypeError);
      expect(provider.calls).toHaveLength(0);
      const running = guard.execute(decision);
      provider.last().reply(valueReply(sampleAnswer));
      expect(await running).toMatchObject({ status: "SUCCEEDED" });
      expect(guard.inFlight).toBe(0);
    }
    expect(mine.provider.calls).toHaveLength(0);
  });

  it("that was copied or made up is refused", async () => {
    const { guard } = openGuard();
    const decision = decided(guard.decide(job, request));
    await expect(guard.execute({ ...decision })).rejects.toThrow(TypeError);
    await expect(guard.execute(Object.create(decision) as Decision)).rejects.toThrow(TypeError);
    await expect(guard.execute(undefined as never)).rejects.toThrow(TypeError);
  });

  it("is decided on one version of the flags, and executed on the latest", async () => {
    const clock = new FakeClock();
    const flags = fakeFlagSource({ clock, flags: { version: 7 } });
    const provider = fakeProvider<SampleJob>();
    const guard = createGuard({ ...sampleFeature, provider, flags, clock, sinks: [() => 0] });
    const decision = decided(guard.decide(job, request));
    flags.set({ version: 8, killed: true });
    expect(decision).toMatchObject({ effect: "allow", flagVersion: 7 });
    expect(await guard.execute(decision)).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    expect(provider.calls).toHaveLength(0);
    expect(guard.inFlight).toBe(0);
  });
});

describe("events of a request", () => {
  it("I11 are one decision and one outcome of the same id", async () => {
    const { guard, provider, record } = openGuard();
    const running = guard.run(job, request);
    provider.last().reply(valueReply(sampleAnswer));
    const { decision } = await running;
    guard.flush();
    expect(record.events.map((event) => event.event)).toEqual(["decision", "outcome"]);
    expect(record.of("decision")).toMatchObject([{ decision_id: decision.id, effect: "allow" }]);
    expect(record.of("outcome")).toMatchObject([
      { decision_id: decision.id, outcome: "SUCCEEDED", selected_provider: "fake" },
    ]);
  });

  it("I11 are one decision and one outcome also when it is rejected", async () => {
    const { guard, record } = openGuard();
    decided(guard.decide(job, request));
    decided(guard.decide(job, request));
    const outcome = await guard.run(job, request);
    expect(outcome).toMatchObject({ status: "REJECTED", reason: "GLOBAL_IN_FLIGHT" });
    guard.flush();
    expect(record.of("decision")).toHaveLength(3);
    expect(record.of("outcome")).toMatchObject([{ outcome: "REJECTED", path: "none" }]);
  });

  it.each([
    ["disabled", { enabled: false }, "FLAG_OFF"],
    ["killed", { killed: true }, "KILLED"],
    ["at 0 %", { percent: 0 }, "NOT_IN_ROLLOUT"],
  ])("I11 of a closed feature are one disabled_noop: %s", async (_, flags, reason) => {
    const clock = new FakeClock();
    const record = recordingSink();
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: fakeFlagSource({ clock, flags: { ...flags, allowlist: ["alice"] } }),
      allowlistMode: "include",
      clock,
      sinks: [record.sink],
    });
    expect(await guard.run(job, request)).toMatchObject({ status: "STUBBED", reason });
    guard.flush();
    expect(record.events).toMatchObject([{ event: "disabled_noop", reason }]);
  });

  it("I11 of a feature that was closed between decision and execution are both of an open one", async () => {
    const { guard, record } = openGuard();
    const decision = decided(guard.decide(job, request));
    guard.kill();
    await guard.execute(decision);
    guard.flush();
    expect(record.of("decision")).toHaveLength(1);
    expect(record.of("outcome")).toMatchObject([{ outcome: "STUBBED", reason: "KILLED" }]);
    expect(record.of("disabled_noop")).toHaveLength(0);
  });

  it("tell a local kill and its end once each", () => {
    const { guard, record } = openGuard();
    guard.kill();
    guard.kill();
    guard.restore();
    guard.restore();
    guard.flush();
    expect(record.of("alert").map((alert) => alert.code)).toEqual([
      "KILLED_LOCALLY",
      "RESTORED_LOCALLY",
    ]);
  });
});

describe("a defective dependency", () => {
  it("that is a flag source which throws closes the feature", async () => {
    const clock = new FakeClock();
    const flags = fakeFlagSource({ clock });
    const provider = fakeProvider<SampleJob>();
    const record = recordingSink();
    const broken: FlagSource = { ...flags };
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: broken,
      clock,
      sinks: [record.sink],
    });
    const running = guard.run(job, request);
    expect(provider.calls).toHaveLength(1);
    broken.read = () => {
      throw new Error("defect");
    };
    expect(await guard.run(job, request)).toMatchObject({ reason: "FLAG_OFF" });
    clock.advance(50);
    expect(await running).toMatchObject({ status: "STUBBED", reason: "FLAG_OFF" });
    guard.flush();
    expect(record.of("alert")).toMatchObject([{ code: "DEPENDENCY_THREW" }]);
  });

  it.each([
    [
      "throws when asked how old it is",
      () => {
        throw new Error("defect");
      },
    ],
    ["does not know how old it is", () => ({ monotonicMs: Number.NaN, wallMs: Number.NaN })],
  ])("I9 that is a flag source which %s is stale", async (_, confirmedAt) => {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>();
    const broken: FlagSource = { ...fakeFlagSource({ clock }) };
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: broken,
      clock,
      sinks: [() => 0],
    });
    const running = guard.run(job, request);
    broken.confirmedAt = confirmedAt;
    clock.advance(50);
    expect(await running).toMatchObject({ status: "STUBBED", reason: "FLAGS_STALE" });
    expect(await guard.run(job, request)).toMatchObject({ reason: "FLAGS_STALE" });
    expect(provider.calls).toHaveLength(1);
    expect(guard.inFlight).toBe(0);
  });

  it("that is a lease which throws when renewed or released changes no outcome", async () => {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>();
    const record = recordingSink();
    const lease = {
      renew: () => {
        throw new Error("defect");
      },
      release: () => {
        throw new Error("defect");
      },
    };
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      budget: { callsPerRun: 1, maxOutputTokens: 100 },
      admission: {
        ...memoryAdmission({ clock }),
        acquire: () => ({ admitted: true, lease, wouldRefuse: [] }),
      },
      sinks: [record.sink],
    });
    const running = guard.run(job, request);
    clock.advance(25_000);
    provider.last().reply(valueReply(sampleAnswer, { inputTokens: 1, outputTokens: 1 }));
    expect(await running).toMatchObject({ status: "SUCCEEDED" });
    expect(guard.inFlight).toBe(0);
    expect(guard.budget.use("run")).toMatchObject({ calls: 1, tokens: 2 });
    guard.flush();
    expect(record.of("alert")).toMatchObject([{ code: "DEPENDENCY_THREW" }]);
  });

  it("that is a budget store which throws diverts, and takes nothing", async () => {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>();
    const admission = fakeAdmissionStore({ limit: 1 });
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      admission,
      budget: {
        callsPerRun: 1,
        maxOutputTokens: 100,
        store: {
          ...memoryBudgets(),
          reserve: () => {
            throw new Error("defect");
          },
        },
      },
      sinks: [() => 0],
    });
    expect(await guard.run(job, request)).toMatchObject({
      status: "STUBBED",
      reason: "STORE_UNAVAILABLE",
    });
    expect(admission.pending).toHaveLength(0);
  });
});

describe("a guard that is closed", () => {
  it("leaves no timer behind once nothing is in flight, and hands out what events wait", async () => {
    const { guard, provider, clock, record } = openGuard();
    const running = guard.run(job, request);
    provider.last().reply(valueReply(sampleAnswer));
    await running;
    guard.close();
    expect(record.of("outcome")).toHaveLength(1);
    clock.advance(1000);
    expect(clock.pendingTimers).toBe(0);
  });

  it("I1 still aborts what is in flight when the feature is shut, and then leaves no timer", async () => {
    const clock = new FakeClock();
    const flags = fakeFlagSource({ clock });
    const provider = fakeProvider<SampleJob>();
    const guard = createGuard({ ...sampleFeature, provider, flags, clock, sinks: [() => 0] });
    const running = guard.run(job, request);
    guard.close();
    flags.set({ killed: true });
    clock.advance(50);
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(await running).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    clock.advance(20);
    expect(clock.pendingTimers).toBe(0);
  });

  it("stops listening to its flags", () => {
    const clock = new FakeClock();
    const listeners = new Set<() => void>();
    const flags: FlagSource = {
      ...fakeFlagSource({ clock }),
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags,
      clock,
    });
    expect(listeners.size).toBe(1);
    guard.close();
    expect(listeners.size).toBe(0);
  });
});

describe("alerts that no sink subscribes to", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("become process warnings with a code, so that they are never silent", () => {
    const warn = vi.spyOn(process, "emitWarning").mockReturnValue(undefined);
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: staticFlags({}),
    });
    guard.kill();
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      "sluice sample_ai: killed in this process until restored",
      { code: "SLUICE_KILLED_LOCALLY" },
    );
    guard.close();
  });

  it.each([
    ["of outcomes alone", ["outcome"], 1],
    ["of alerts too", ["outcome", "alert"], 0],
    ["of everything", undefined, 0],
  ] as const)("beside a sink %s, are told once", async (_, subscribesTo, warnings) => {
    const warn = vi.spyOn(process, "emitWarning").mockReturnValue(undefined);
    const seen: string[] = [];
    const sink = (event: SluiceEvent): void => void seen.push(event.event);
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({
        onCall: (call) => call.reply(valueReply(sampleAnswer)),
      }),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [Object.assign(sink, { subscribesTo })],
    });
    await guard.run({ prompt: "p" }, { subject: "alice" });
    guard.kill();
    guard.close();
    expect(warn).toHaveBeenCalledTimes(warnings);
    expect(seen).toEqual(
      ["decision", "outcome", "alert"].filter(
        (kind) => subscribesTo === undefined || subscribesTo.some((wanted) => wanted === kind),
      ),
    );
  });
});
