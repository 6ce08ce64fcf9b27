import type { Decision } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleFeature,
  type SampleJob,
} from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  createGuard,
  memoryAdmission,
  staticFlags,
  type Barred,
  type BudgetOptions,
  type HandedOver,
  type StaticFeature,
} from "./index.ts";

// The breaker's library knows no clock but the process's timers.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterAll(() => {
  vi.useRealTimers();
});

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann", run: "run", requestId: "req-1" };
const usage = { inputTokens: 7, outputTokens: 13 };

function bench(
  more: {
    readonly flags?: StaticFeature;
    readonly budget?: Partial<BudgetOptions>;
    readonly totalTimeoutMs?: number;
    readonly places?: number;
    readonly tripwire?: {
      readonly scope: "run";
      readonly schemaFailures: { readonly max: number };
    };
  } = {},
) {
  const clock = new FakeClock();
  const record = recordingSink();
  const places = more.places ?? 1;
  const admission = memoryAdmission({ globalInFlight: { limit: places }, clock });
  const flags = staticFlags({ sample_ai: { enabled: true, ...more.flags } });
  const provider = fakeProvider<SampleJob>({
    name: "first",
    model: "model-1",
    inputTokens: () => 10,
  });
  const second = fakeProvider<SampleJob>({
    name: "second",
    model: "model-2",
    inputTokens: () => 10,
  });
  const guard = createGuard({
    ...sampleFeature,
    route: {
      providers: [provider, second],
      candidates: [
        { provider: "first", isDefault: true, promptTemplateVersion: "v7" },
        { provider: "second" },
      ],
      failover: true,
    },
    flags,
    clock,
    admission,
    prices: {
      "model-1": { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 2 },
      "model-2": { inputNanoUsdPerToken: 10, outputNanoUsdPerToken: 20 },
    },
    budget: { callsPerRun: 10, tokensPerRun: 1000, maxOutputTokens: 100, ...more.budget },
    breaker: { minCalls: 1 },
    timeoutMs: 1000,
    firstContentTimeoutMs: 500,
    chunkTimeoutMs: 300,
    totalTimeoutMs: more.totalTimeoutMs ?? 60_000,
    stream: { stallMs: 400 },
    ...(more.tripwire === undefined ? {} : { tripwire: more.tripwire }),
    sinks: [record.sink],
  });
  const decide = (signal?: AbortSignal): Decision => {
    const decision = guard.decide(job, { ...request, signal });
    if (decision instanceof Promise) throw new TypeError("the stores are local");
    return decision;
  };
  const handOver = (signal?: AbortSignal): HandedOver => {
    const handed = guard.handOver(decide(signal));
    if ("barred" in handed) throw new TypeError(`barred: ${handed.barred}`);
    return handed;
  };
  return {
    guard,
    clock,
    flags,
    admission,
    provider,
    decide,
    handOver,
    events: () => {
      guard.flush();
      return record;
    },
    /** The one outcome event. */
    outcome: () => {
      guard.flush();
      const outcomes = record.of("outcome");
      expect(outcomes).toHaveLength(1);
      return outcomes[0];
    },
    expectNothingHeld: () => {
      expect(guard.inFlight).toBe(0);
      const taken = Array.from({ length: places }, () => admission.acquire("bob"));
      for (const reply of taken) expect(reply).toMatchObject({ admitted: true });
    },
  };
}

describe("a call that is handed over", () => {
  it("is the caller's own: the guard calls nobody, and settles what it is told", async () => {
    const { handOver, guard, provider, clock, outcome, expectNothingHeld } = bench();
    const handed = handOver();
    expect(handed).toMatchObject({ maxOutputTokens: 100, stopped: undefined });
    expect(handed.idempotencyKey).toMatch(/./);
    expect(guard.inFlight).toBe(1);
    await clock.advanceAsync(250);
    expect(handed.end({ ok: true, usage })).toBeUndefined();
    expect(provider.calls).toEqual([]);
    expect(guard.budget.use("run")).toEqual({ calls: 1, tokens: 20, costNanoUsd: 33 });
    expectNothingHeld();
    expect(outcome()).toMatchObject({
      outcome: "SUCCEEDED",
      path: "ai",
      request_id: "req-1",
      selected_provider: "first",
      route_strategy: "default",
      prompt_template_version: "v7",
      fallback_used: false,
      latency_ms: 250,
      attempts: [{ provider: "first", model: "model-1", latency_ms: 250, cost_nano_usd: 33 }],
      cost_nano_usd: 33,
    });
    await clock.advanceAsync(20);
    expect(clock.pendingTimers).toBe(0);
  });

  it("that failed records its code, and its provider is held to it", () => {
    const { handOver, guard, outcome, expectNothingHeld } = bench();
    const handed = handOver();
    const code = handed.end({ ...errorReply("PROVIDER_UNAVAILABLE"), httpStatus: 502 });
    expect(code).toBe("PROVIDER_UNAVAILABLE");
    expectNothingHeld();
    expect(guard.budget.use("run").tokens).toBe(110);
    expect(guard.describe().providers[0]?.breaker).toBe("open");
    expect(outcome()).toMatchObject({
      outcome: "FAILED",
      failure_code: "PROVIDER_UNAVAILABLE",
      attempts: [{ code: "PROVIDER_UNAVAILABLE", http_status: 502 }],
    });
  });

  it("that was never dispatched is charged nothing", () => {
    const { handOver, guard, expectNothingHeld } = bench();
    handOver().end({ ok: false, code: "PROVIDER_UNAVAILABLE", dispatched: false });
    expect(guard.budget.use("run")).toEqual({ calls: 0, tokens: 0, costNanoUsd: 0 });
    expectNothingHeld();
  });

  it("cools its provider down where it asked for it, and the next one goes elsewhere", () => {
    const { handOver, guard, outcome } = bench({ places: 2 });
    handOver().end(errorReply("PROVIDER_RATE_LIMITED", { retryAfterMs: 3000 }));
    expect(guard.describe().providers[0]).toMatchObject({ breaker: "closed", coolingMs: 3000 });
    outcome();
    const handed = handOver();
    // Reserved again, at the price of who is called.
    expect(guard.budget.use("run").costNanoUsd).toBe(210 + 2100);
    handed.end({ ok: true, usage });
  });

  it("may use no more output than the run has left", () => {
    const { handOver, guard } = bench({ budget: { tokensPerRun: 60 } });
    const handed = handOver();
    expect(handed.maxOutputTokens).toBe(50);
    handed.end({ ok: true });
    expect(guard.budget.use("run").tokens).toBe(60);
  });

  it("ends once: what is said later changes nothing", () => {
    const { handOver, guard, outcome } = bench();
    const handed = handOver();
    expect(handed.end(errorReply("STREAM_CUT", { usage }))).toBe("STREAM_CUT");
    expect(handed.end({ ok: true, usage: { inputTokens: 1, outputTokens: 1 } })).toBe("STREAM_CUT");
    expect(guard.budget.use("run").tokens).toBe(20);
    expect(outcome()).toMatchObject({ outcome: "FAILED" });
  });

  it("is executed or handed over once", async () => {
    const { decide, guard } = bench();
    const decision = decide();
    const handed = guard.handOver(decision);
    expect(() => guard.handOver(decision)).toThrow(TypeError);
    await expect(guard.execute(decision)).rejects.toThrow(TypeError);
    guard.giveUp(decision);
    expect(guard.inFlight).toBe(1);
    if ("end" in handed) handed.end({ ok: true });
    expect(guard.inFlight).toBe(0);
  });

  it("trips the tripwire of its run like any other", () => {
    const { handOver, decide, guard } = bench({
      tripwire: { scope: "run", schemaFailures: { max: 0 } },
    });
    handOver().end(errorReply("OUTPUT_SCHEMA_INVALID"));
    const decision = decide();
    expect(guard.handOver(decision)).toEqual({ barred: "TRIPPED" } satisfies Barred);
  });
});

describe("a call that was handed over is stopped", () => {
  it.each([
    ["its own time", [], 1000, "PROVIDER_TIMEOUT"],
    ["the time to its first content", ["streams"], 500, "PROVIDER_TIMEOUT"],
    ["the time between two pieces", ["streams", "content"], 300, "STREAM_STALLED"],
    ["its reader's time", ["streams", "content", "waits"], 400, "CLIENT_ABORTED"],
  ] as const)("by %s, whatever is said of it then", async (_, did, ms, code) => {
    const { handOver, clock, outcome, guard, expectNothingHeld } = bench();
    const handed = handOver();
    for (const what of did) {
      if (what === "streams") handed.streams();
      if (what === "content") handed.content(20);
      if (what === "waits") handed.awaitsReader(true);
    }
    await clock.advanceAsync(ms - 20);
    expect([handed.signal.aborted, handed.stopped]).toEqual([false, undefined]);
    await clock.advanceAsync(20);
    expect([handed.signal.aborted, handed.stopped]).toEqual([true, code]);
    expect(handed.end({ ok: true, usage })).toBe(code);
    expectNothingHeld();
    expect(outcome()).toMatchObject({ outcome: "FAILED", failure_code: code });
    // Who was cancelled is charged the prompt and what was seen; who was cut, the reservation.
    expect(guard.budget.use("run").tokens).toBe(code === "CLIENT_ABORTED" ? 30 : 110);
  });

  it("not while signs of life come", async () => {
    const { handOver, clock } = bench();
    const handed = handOver();
    handed.streams();
    handed.content(1);
    for (let i = 0; i < 4; i += 1) {
      await clock.advanceAsync(200);
      handed.progress();
    }
    expect(handed.signal.aborted).toBe(false);
    expect(handed.end({ ok: true, usage })).toBeUndefined();
  });

  it("by the request's total time where that is shorter", async () => {
    const { handOver, clock } = bench({ totalTimeoutMs: 100 });
    const handed = handOver();
    await clock.advanceAsync(100);
    expect(handed.stopped).toBe("PROVIDER_TIMEOUT");
    handed.end({ ok: true });
  });

  it("I1 by a kill, at once; by a flag that tells nobody, with the next tick", async () => {
    const killed = bench();
    const first = killed.handOver();
    killed.guard.kill();
    expect([first.signal.aborted, first.stopped]).toEqual([true, "KILLED"]);
    expect(first.end({ ok: true, usage })).toBe("KILLED");
    killed.expectNothingHeld();
    expect(killed.outcome()).toMatchObject({ outcome: "FAILED", failure_code: "KILLED" });

    const flagged = bench();
    const second = flagged.handOver();
    flagged.flags.set("sample_ai", { percent: 0 });
    expect(second.stopped).toBe("KILLED");
    second.end({ ok: true });
    flagged.expectNothingHeld();
  });

  it("by the client who goes away, without a listener left on its signal", () => {
    const { handOver, outcome, expectNothingHeld } = bench();
    const controller = new AbortController();
    const handed = handOver(controller.signal);
    controller.abort();
    expect([handed.signal.aborted, handed.stopped]).toEqual([true, "CLIENT_ABORTED"]);
    expect(handed.end(errorReply("STREAM_CUT"))).toBe("CLIENT_ABORTED");
    expectNothingHeld();
    expect(outcome()).toMatchObject({ failure_code: "CLIENT_ABORTED" });
  });

  it("I4 and that nobody ends then is ended, 30 seconds later", async () => {
    const { handOver, clock, outcome, guard, expectNothingHeld } = bench();
    const handed = handOver();
    await clock.advanceAsync(1000 + 29_999);
    expect(guard.inFlight).toBe(1);
    await clock.advanceAsync(1);
    expectNothingHeld();
    expect(outcome()).toMatchObject({ outcome: "FAILED", failure_code: "PROVIDER_TIMEOUT" });
    expect(handed.end({ ok: true, usage })).toBe("PROVIDER_TIMEOUT");
    expect(guard.budget.use("run").tokens).toBe(110);
    await clock.advanceAsync(20);
    expect(clock.pendingTimers).toBe(0);
  });

  it("by nobody once it has ended", async () => {
    const { handOver, guard, clock, outcome } = bench();
    const controller = new AbortController();
    const handed = handOver(controller.signal);
    handed.end({ ok: true });
    controller.abort();
    guard.kill();
    await clock.advanceAsync(5000);
    expect([handed.signal.aborted, handed.stopped]).toEqual([false, undefined]);
    expect(outcome()).toMatchObject({ outcome: "SUCCEEDED" });
  });
});

const barredBy = (
  made: ReturnType<typeof bench>,
  decision: Decision,
): Barred["barred"] | undefined => {
  const handed = made.guard.handOver(decision);
  return "barred" in handed ? handed.barred : undefined;
};

describe("nothing is handed over", () => {
  it("I1 where a kill came between", () => {
    const made = bench();
    const decision = made.decide();
    made.guard.kill();
    expect(barredBy(made, decision)).toBe("KILLED");
    made.expectNothingHeld();
    expect(made.guard.budget.use("run").calls).toBe(0);
    expect(made.outcome()).toMatchObject({
      outcome: "STUBBED",
      path: "stub",
      reason: "KILLED",
      attempts: [],
    });
  });

  it("where the client has gone already", () => {
    const made = bench();
    const controller = new AbortController();
    const decision = made.decide(controller.signal);
    controller.abort();
    expect(barredBy(made, decision)).toBe("CLIENT_ABORTED");
    made.expectNothingHeld();
    expect(made.outcome()).toMatchObject({ outcome: "FAILED", failure_code: "CLIENT_ABORTED" });
  });

  it("I14 where the decision rejects, which takes nothing", () => {
    const made = bench();
    const handed = made.handOver();
    const decision = made.decide();
    expect(decision.effect).toBe("reject");
    expect(barredBy(made, decision)).toBe("GLOBAL_IN_FLIGHT");
    expect(made.outcome()).toMatchObject({
      outcome: "REJECTED",
      path: "none",
      reason: "GLOBAL_IN_FLIGHT",
    });
    expect(made.guard.budget.use("run").calls).toBe(1);
    handed.end({ ok: true });
    expect(made.events().of("outcome")).toHaveLength(2);
    made.expectNothingHeld();
  });

  it("where the decision diverts, with one outcome of an open feature", () => {
    const made = bench({ budget: { callsPerRun: 0 } });
    const decision = made.decide();
    expect(barredBy(made, decision)).toBe("BUDGET_CALLS");
    expect(made.outcome()).toMatchObject({ outcome: "STUBBED", reason: "BUDGET_CALLS" });
    expect(made.events().of("decision")).toHaveLength(1);
  });

  it("I11 of a closed feature, whose only trace is that it does nothing", () => {
    const made = bench({ flags: { enabled: false } });
    const decision = made.decide();
    expect(barredBy(made, decision)).toBe("FLAG_OFF");
    const record = made.events();
    expect(record.events.map(({ event }) => event)).toEqual(["disabled_noop"]);
  });

  it("of a decision of another guard, or one that was given up", () => {
    const [made, other] = [bench(), bench()];
    const decision = made.decide();
    expect(() => other.guard.handOver(decision)).toThrow(TypeError);
    made.guard.giveUp(decision);
    expect(() => made.guard.handOver(decision)).toThrow(TypeError);
    made.expectNothingHeld();
  });
});
