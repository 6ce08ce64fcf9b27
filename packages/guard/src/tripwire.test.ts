import {
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  textReply,
  valueReply,
  type FakeCall,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createGuard, staticFlags, type TripwireOptions } from "./index.ts";

type Answer = (call: FakeCall<SampleJob>) => void;

const good: Answer = (call) => call.reply(valueReply(sampleAnswer));
const garbage: Answer = (call) => call.reply(textReply("sorry"));
const unavailable: Answer = (call) => call.reply(errorReply("PROVIDER_UNAVAILABLE"));

function watched(tripwire: TripwireOptions) {
  const clock = new FakeClock();
  const record = recordingSink();
  let answer = good;
  const provider = fakeProvider<SampleJob>({ onCall: (call) => answer(call) });
  const guard = createGuard({
    ...sampleFeature,
    provider,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    tripwire,
    retry: { maxRetries: 0 },
    sinks: [record.sink],
    gates: { "circuit-breaker": { mode: "off" } },
  });
  /** One request; tells what became of it. */
  const ask = async (
    next: Answer,
    subject: string,
    run?: string,
    signal?: AbortSignal,
  ): Promise<string> => {
    answer = next;
    const outcome = await guard.run({ prompt: "p" }, { subject, run, signal });
    return outcome.status === "STUBBED" ? outcome.reason : outcome.status;
  };
  const trips = () => {
    guard.flush();
    return record.of("alert").filter((alert) => alert.code === "TRIPPED");
  };
  return { guard, provider, clock, record, ask, trips };
}

describe("a tripwire in a process", () => {
  it("shuts the feature for everybody once enough subjects met bad output, and says the figures", async () => {
    const { ask, trips, guard, provider } = watched({
      scope: "process",
      schemaFailures: { max: 2 },
      minSubjects: 3,
    });
    expect(await ask(good, "a")).toBe("SUCCEEDED");
    for (const subject of ["a", "b", "c"]) expect(await ask(garbage, subject)).toBe("FAILED");
    expect(await ask(good, "d")).toBe("TRIPPED");
    expect(provider.calls).toHaveLength(4);
    expect(trips()).toMatchObject([
      {
        message:
          "the tripwire shut the feature in this process: schemaFailures (calls 4, schemaFailures 3, max 2); it stays shut until reset",
        figures: { calls: 4, schemaFailures: 3, max: 2 },
      },
    ]);
    expect(String(guard.describe())).toContain("shut, TRIPPED");
    expect(guard.describe().shut).toEqual({
      gate: "kill-switch",
      reason: "TRIPPED",
      closed: true,
    });
  });

  it("is not tripped by one user alone, whatever that user provokes", async () => {
    const { ask, trips } = watched({
      scope: "process",
      schemaFailures: { max: 0 },
      errorRate: { max: 0.1, minCalls: 5 },
      minSubjects: 2,
    });
    for (let i = 0; i < 50; i += 1) expect(await ask(garbage, "mallory")).toBe("FAILED");
    expect(await ask(good, "alice")).toBe("SUCCEEDED");
    expect(trips()).toEqual([]);
  });

  it("is not tripped by callers who go away, nor by kills", async () => {
    const { guard, ask, trips } = watched({
      scope: "process",
      errorRate: { max: 0, minCalls: 1 },
      minSubjects: 2,
    });
    for (const subject of ["a", "b", "c"]) {
      const controller = new AbortController();
      const running = guard.run({ prompt: "p" }, { subject, signal: controller.signal });
      controller.abort();
      await running;
    }
    expect(await ask(() => guard.kill(), "d")).toBe("KILLED");
    guard.restore();
    expect(await ask(() => guard.kill(), "e")).toBe("KILLED");
    guard.restore();
    expect(await ask(good, "f")).toBe("SUCCEEDED");
    expect(trips()).toEqual([]);
  });

  it("counts no call that the caller or a kill ended, neither as good nor as slow", async () => {
    const { guard, ask, trips, clock } = watched({
      scope: "process",
      errorRate: { max: 0.5, minCalls: 4 },
      latency: { p95CeilingMs: 100, minCalls: 4 },
      minSubjects: 2,
    });
    for (const subject of ["a", "b", "c", "d", "e"]) {
      const controller = new AbortController();
      const impatient: Answer = () => {
        clock.advance(5000);
        controller.abort();
      };
      expect(await ask(impatient, subject, undefined, controller.signal)).toBe("FAILED");
      const killing: Answer = () => {
        clock.advance(5000);
        guard.kill();
      };
      expect(await ask(killing, subject)).toBe("KILLED");
      guard.restore();
    }
    for (const subject of ["a", "b", "c"]) await ask(unavailable, subject);
    expect(trips()).toEqual([]);
    await ask(good, "d");
    expect(trips()).toMatchObject([{ figures: { calls: 4, errors: 3 } }]);
  });

  it("waits for its least number of calls before it judges the error rate", async () => {
    const { ask, trips } = watched({
      scope: "process",
      errorRate: { max: 0.5, minCalls: 6 },
      minSubjects: 2,
    });
    for (const subject of ["a", "b", "c", "d", "e"]) {
      expect(await ask(unavailable, subject)).toBe("FAILED");
    }
    expect(trips()).toEqual([]);
    expect(await ask(good, "f")).toBe("SUCCEEDED");
    expect(trips()).toMatchObject([{ figures: { calls: 6, errors: 5, max: 0.5 } }]);
    expect(await ask(good, "g")).toBe("TRIPPED");
  });

  it("trips on latency, timed-out calls included", async () => {
    const { ask, trips, clock } = watched({
      scope: "process",
      latency: { p95CeilingMs: 100, minCalls: 3 },
      minSubjects: 2,
    });
    const slow: Answer = (call) => {
      clock.advance(101);
      good(call);
    };
    for (const subject of ["a", "b", "c"]) expect(await ask(slow, subject)).toBe("SUCCEEDED");
    expect(trips()).toMatchObject([{ figures: { calls: 3, slow: 3, p95CeilingMs: 100 } }]);
  });

  it("looks back on its window only", async () => {
    const { ask, trips } = watched({
      scope: "process",
      schemaFailures: { max: 1 },
      windowCalls: 4,
      minSubjects: 2,
    });
    await ask(garbage, "a");
    for (const subject of ["b", "c", "d"]) await ask(good, subject);
    await ask(garbage, "e");
    expect(trips()).toEqual([]);
    await ask(garbage, "f");
    expect(trips()).toHaveLength(1);
  });

  it("stays shut until it is reset, and then begins anew", async () => {
    const { ask, guard, trips, record } = watched({
      scope: "process",
      schemaFailures: { max: 1 },
      minSubjects: 2,
    });
    await ask(garbage, "a");
    await ask(garbage, "b");
    expect(await ask(good, "c")).toBe("TRIPPED");
    guard.restore();
    expect(await ask(good, "c")).toBe("TRIPPED");
    guard.resetTripwire();
    expect(await ask(good, "c")).toBe("SUCCEEDED");
    expect(await ask(garbage, "a")).toBe("FAILED");
    expect(await ask(good, "c")).toBe("SUCCEEDED");
    expect(trips()).toHaveLength(1);
    expect(record.of("alert").map((alert) => alert.code)).toEqual(["TRIPPED", "TRIPWIRE_RESET"]);
    await ask(garbage, "b");
    expect(await ask(good, "c")).toBe("TRIPPED");
  });

  it("leaves only the event disabled_noop of a request that it keeps out", async () => {
    const { ask, guard, record } = watched({
      scope: "process",
      schemaFailures: { max: 0 },
      minSubjects: 2,
    });
    await ask(garbage, "a");
    await ask(garbage, "b");
    guard.flush();
    const before = record.events.length;
    await ask(good, "c");
    guard.flush();
    expect(record.events.slice(before)).toMatchObject([
      { event: "disabled_noop", reason: "TRIPPED" },
    ]);
  });
});

describe("a tripwire of a run", () => {
  it("shuts the run that met the harm, and no other", async () => {
    const { ask, trips, guard } = watched({ scope: "run", schemaFailures: { max: 0 } });
    expect(await ask(garbage, "a", "one")).toBe("FAILED");
    expect(await ask(good, "a", "one")).toBe("TRIPPED");
    expect(await ask(good, "b", "one")).toBe("TRIPPED");
    expect(await ask(good, "a", "two")).toBe("SUCCEEDED");
    expect(await ask(good, "a")).toBe("SUCCEEDED");
    expect(trips()).toMatchObject([
      {
        message:
          "the tripwire shut a run: schemaFailures (calls 1, schemaFailures 1, max 0); it stays shut until reset",
      },
    ]);
    expect(guard.describe().shut).toBeUndefined();
    guard.resetTripwire("one");
    expect(await ask(good, "a", "one")).toBe("SUCCEEDED");
  });

  it("keeps a decision from calling that was made before it tripped", async () => {
    const { guard, ask, provider } = watched({ scope: "run", schemaFailures: { max: 0 } });
    const decision = await guard.decide({ prompt: "p" }, { subject: "a", run: "one" });
    expect(decision.effect).toBe("allow");
    expect(await ask(garbage, "a", "one")).toBe("FAILED");
    expect(await guard.execute(decision)).toMatchObject({ status: "STUBBED", reason: "TRIPPED" });
    expect(provider.calls).toHaveLength(1);
    expect(guard.inFlight).toBe(0);
  });

  it("is lifted for all runs by a reset without a name", async () => {
    const { ask, guard } = watched({ scope: "run", schemaFailures: { max: 0 } });
    for (const run of ["one", "two"]) {
      await ask(garbage, "a", run);
      expect(await ask(good, "a", run)).toBe("TRIPPED");
    }
    guard.resetTripwire();
    for (const run of ["one", "two"]) expect(await ask(good, "a", run)).toBe("SUCCEEDED");
  });

  it("never trips a request without a run: it is its own run, which is over", async () => {
    const { ask, trips } = watched({ scope: "run", schemaFailures: { max: 0 } });
    for (let i = 0; i < 5; i += 1) expect(await ask(garbage, "a")).toBe("FAILED");
    expect(trips()).toEqual([]);
  });

  it("keeps the runs apart whatever their names are", async () => {
    const { ask } = watched({ scope: "run", schemaFailures: { max: 0 } });
    await ask(garbage, "a", "__proto__");
    expect(await ask(good, "a", "constructor")).toBe("SUCCEEDED");
    expect(await ask(good, "a", "__proto__")).toBe("TRIPPED");
  });

  it("I12 I7 forgets runs that did not trip before one that did", { timeout: 20_000 }, async () => {
    const { ask } = watched({ scope: "run", schemaFailures: { max: 0 } });
    await ask(garbage, "a", "tripped");
    for (let i = 0; i < 10_050; i += 1) await ask(good, "a", `run-${i}`);
    expect(await ask(good, "a", "tripped")).toBe("TRIPPED");
  });
});

describe("without a tripwire", () => {
  it("nothing trips", async () => {
    const provider = fakeProvider<SampleJob>({ onCall: garbage });
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [() => 0],
    });
    for (let i = 0; i < 50; i += 1) {
      await guard.run({ prompt: "p" }, { subject: `subject-${i}`, run: "run" });
    }
    expect(provider.calls).toHaveLength(50);
    guard.close();
  });
});
