import type { AdmissionStore, MetricSample, ParityFigures, SluiceEvent } from "@sluice/contract";
import {
  delta,
  errorReply,
  FakeClock,
  fakeAdmissionStore,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeCall,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import {
  createGuard,
  defineTool,
  memoryAdmission,
  staticFlags,
  type BreakerOptions,
  type BudgetOptions,
  type ShadowOptions,
  type StaticFeature,
  type Tool,
} from "./index.ts";

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann", run: "run" };
const usage = { inputTokens: 10, outputTokens: 5 };
const prices = { m: { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 2 } };
/** 10 tokens of prompt and 20 of output. */
const worstNanoUsd = 50;

function bench(
  more: {
    readonly flags?: StaticFeature;
    readonly onCall?: (call: FakeCall<SampleJob>) => void;
    readonly admission?: AdmissionStore;
    readonly budget?: BudgetOptions;
    readonly breaker?: BreakerOptions;
    readonly tools?: Readonly<Record<string, Tool>>;
    readonly inputTokens?: () => number;
  } = {},
) {
  const { flags: given, onCall, inputTokens, ...options } = more;
  const clock = new FakeClock();
  const events: SluiceEvent[] = [];
  const samples: MetricSample[] = [];
  const flags = staticFlags({ sample_ai: { enabled: true, ...given } });
  const provider = fakeProvider<SampleJob>({
    model: "m",
    inputTokens: inputTokens ?? (() => 10),
    onCall: onCall ?? ((call) => call.reply(valueReply(sampleAnswer, usage))),
  });
  const guard = createGuard({
    ...sampleFeature,
    provider,
    flags,
    clock,
    prices,
    retry: { maxRetries: 0 },
    ...options,
    sinks: [(event) => events.push(event)],
    metrics: (sample) => samples.push(sample),
  });
  const told = () => {
    guard.flush();
    return { events, samples };
  };
  const shadow = guard.shadow();
  return { clock, flags, provider, guard, shadow, told, events, samples };
}

const refusing = (call: FakeCall<SampleJob>): void =>
  call.reply(errorReply("PROVIDER_UNAVAILABLE"));

/** A shadow with a cap of money, over a provider that may lack something. */
const cappedOver = (provider: object) =>
  createGuard({
    ...sampleFeature,
    provider: { name: "fake", generate: async () => valueReply(sampleAnswer), ...provider },
    flags: staticFlags({ sample_ai: { enabled: true } }),
    prices,
    sinks: [() => undefined],
  }).shadow({ costNanoUsdPerDay: 1, maxOutputTokens: 1 });

describe("a shadow", () => {
  it("decides and executes as the guard does, and says in each event that it is one", async () => {
    const { shadow, told } = bench();
    expect(await shadow.run(job, request)).toMatchObject({
      status: "SUCCEEDED",
      value: sampleAnswer,
    });
    const { events, samples } = told();
    expect(events).toMatchObject([
      { event: "decision", shadow: true },
      { event: "outcome", shadow: true, outcome: "SUCCEEDED" },
    ]);
    expect(samples).toMatchObject([
      { kind: "check", arm: "shadow", effect: "allow" },
      { kind: "outcome", arm: "shadow", outcome: "SUCCEEDED" },
    ]);
  });

  it("leaves the events and samples of the guard as they were", async () => {
    const { guard, told } = bench();
    await guard.run(job, request);
    const { events, samples } = told();
    for (const event of events) expect(event).not.toHaveProperty("shadow");
    expect(samples).toMatchObject([{ kind: "outcome", arm: "ai" }]);
  });

  it("gives a sample of what its gates say of each request, executed or not", async () => {
    const admission = memoryAdmission({
      userInFlight: { limit: 1, mode: "shadow" },
      globalInFlight: { limit: 2 },
    });
    const { shadow, told } = bench({ admission });
    for (let i = 0; i < 3; i += 1) await shadow.decide(job, request);
    expect(told().samples).toEqual(
      [
        [undefined, [{ verdict: "allow" }]],
        [undefined, [{ verdict: "would_reject", reason: "USER_IN_FLIGHT" }, { verdict: "allow" }]],
        [
          "GLOBAL_IN_FLIGHT",
          [
            { verdict: "would_reject", reason: "USER_IN_FLIGHT" },
            { verdict: "reject", reason: "GLOBAL_IN_FLIGHT" },
          ],
        ],
      ].map(([reason, verdicts]) => ({
        kind: "check",
        feature: "sample_ai",
        arm: "shadow",
        effect: reason === undefined ? "allow" : "reject",
        ...(reason === undefined ? {} : { reason }),
        admission: verdicts,
      })),
    );
  });

  it("of a closed feature leaves a noop alone", async () => {
    const { shadow, told } = bench({ flags: { enabled: false } });
    await shadow.run(job, request);
    shadow.noteParity(parity);
    expect(told()).toMatchObject({
      events: [{ event: "disabled_noop", shadow: true }],
      samples: [],
    });
  });

  it("counts requests apart from the guard, by the same limits", async () => {
    const admission = memoryAdmission({ globalInFlight: { limit: 1 } });
    const { guard, shadow } = bench({ admission });
    expect(await shadow.decide(job, request)).toMatchObject({ effect: "allow" });
    expect(await guard.decide(job, request)).toMatchObject({ effect: "allow" });
    expect(await shadow.decide(job, request)).toMatchObject({ reason: "GLOBAL_IN_FLIGHT" });
  });

  it("has no admission where its store can't be imitated", async () => {
    const store = memoryAdmission({ globalInFlight: { limit: 1 } });
    const { shadow } = bench({ admission: Object.assign(store, { apart: undefined }) });
    for (let i = 0; i < 3; i += 1) {
      expect(await shadow.decide(job, request)).toMatchObject({ effect: "allow" });
    }
    expect(shadow.describe().chain.map(({ gate }) => gate)).not.toContain("admission");
  });

  it("has none where the store throws at being asked, and says so", async () => {
    const admission: AdmissionStore = {
      ...memoryAdmission({ globalInFlight: { limit: 1 } }),
      apart() {
        throw new Error("sentinel");
      },
    };
    const { shadow, told } = bench({ admission });
    expect(await shadow.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    expect(told().events).toContainEqual(
      expect.objectContaining({ code: "DEPENDENCY_THREW", shadow: true }),
    );
  });

  it("has a budget and a breaker of its own", async () => {
    const budget = { callsPerRun: 1, maxOutputTokens: 20 };
    const { guard, shadow, told } = bench({ onCall: refusing, budget, breaker: { minCalls: 1 } });
    await shadow.run(job, request);
    expect(await shadow.run(job, request)).toMatchObject({ reason: "BUDGET_CALLS" });
    expect(await shadow.run(job, { subject: "ann" })).toMatchObject({ reason: "CIRCUIT_OPEN" });
    expect(guard.budget.use("run")).toEqual({ calls: 0, tokens: 0, costNanoUsd: 0 });
    expect(guard.describe().providers).toMatchObject([{ breaker: "closed" }]);
    expect(shadow.budget.use("run").calls).toBe(1);
    const { events, samples } = told();
    expect(events).toContainEqual(expect.objectContaining({ code: "BREAKER_STATE", shadow: true }));
    expect(samples.filter(({ kind }) => kind === "circuit")).toEqual([]);
  });

  it("I1 is shut by a kill of the guard, and what it runs is aborted at once", async () => {
    const { guard, shadow, provider, clock } = bench({ onCall: () => undefined });
    const running = shadow.run(job, request);
    await clock.advanceAsync(0);
    guard.kill();
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(await running).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    expect(await shadow.run(job, request)).toMatchObject({ reason: "KILLED" });
    expect(provider.calls).toHaveLength(1);
    guard.restore();
    expect(await shadow.decide(job, request)).toMatchObject({ effect: "allow" });
  });

  it("I1 is shut by a kill of its own, which is none of the guard's", async () => {
    const { guard, shadow, provider } = bench();
    shadow.kill();
    expect(await shadow.run(job, request)).toMatchObject({ reason: "KILLED" });
    expect(provider.calls).toHaveLength(0);
    expect(await guard.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    guard.restore();
    expect(await shadow.run(job, request)).toMatchObject({ reason: "KILLED" });
    shadow.restore();
    expect(await shadow.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
  });

  it("I1 is shut with the guard by its tripwire, and trips none itself", async () => {
    let answers = "not of the contract";
    const clock = new FakeClock();
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(answers)) }),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      tripwire: { scope: "process", schemaFailures: { max: 0 }, minSubjects: 2 },
      breaker: { minCalls: 100 },
      sinks: [() => undefined],
    });
    const shadow = guard.shadow();
    for (const subject of ["ann", "ben", "cat"]) await shadow.run(job, { subject });
    expect(guard.describe()).not.toHaveProperty("shut");
    for (const subject of ["ann", "ben", "cat"]) await guard.run(job, { subject });
    expect(guard.describe().shut).toMatchObject({ reason: "TRIPPED" });
    answers = "";
    expect(await shadow.run(job, request)).toMatchObject({ reason: "TRIPPED" });
    shadow.resetTripwire();
    expect(guard.describe().shut).toMatchObject({ reason: "TRIPPED" });
  });

  it("is closed with the guard, and closes the store that is its own", () => {
    const close = vi.fn<() => void>();
    const admission: AdmissionStore = {
      ...memoryAdmission({ globalInFlight: { limit: 1 } }),
      close,
      apart: () => ({ ...memoryAdmission({ globalInFlight: { limit: 1 } }), close: closeApart }),
    };
    const closeApart = vi.fn<() => void>();
    const { guard, clock } = bench({ admission });
    guard.shadow().close();
    expect(closeApart).toHaveBeenCalledTimes(1);
    guard.close();
    expect(closeApart).toHaveBeenCalledTimes(2);
    expect(close).not.toHaveBeenCalled();
    expect(clock.pendingTimers).toBe(0);
  });

  it("may have a shadow itself, which its own kill shuts too", async () => {
    const { guard, shadow, provider } = bench();
    const further = shadow.shadow();
    shadow.kill();
    expect(await further.run(job, request)).toMatchObject({ reason: "KILLED" });
    shadow.restore();
    guard.kill();
    expect(await further.run(job, request)).toMatchObject({ reason: "KILLED" });
    expect(provider.calls).toHaveLength(0);
  });

  it("asks a remote store that is apart as any other", async () => {
    const store = fakeAdmissionStore({ limit: 1, onAcquire: (pending) => pending.answer() });
    const { guard, shadow } = bench({ admission: store });
    const [one, two] = await Promise.all([guard.decide(job, request), shadow.decide(job, request)]);
    expect([one.effect, two.effect]).toEqual(["allow", "allow"]);
    expect(store.held).toBe(1);
  });
});

describe("tools of a shadow", () => {
  it("are not run unless they are marked as safe, and the model is told so", async () => {
    const ran: string[] = [];
    const tool = (name: string, safe?: boolean): Tool =>
      defineTool({
        description: "Does something.",
        input: z.object({}),
        run: () => ran.push(name),
        ...(safe === undefined ? {} : { safe }),
      });
    const outputs: unknown[] = [];
    const { guard, shadow, told } = bench({
      tools: { order: tool("order"), book: tool("book", false), look: tool("look", true) },
      onCall(call) {
        const results = call.asked.steps.flatMap((step) => step.results);
        outputs.push(...results.map(({ output }) => output));
        if (results.length > 0) call.reply(valueReply(sampleAnswer));
        else {
          const toolCalls = ["order", "book", "look"].map((name) => ({
            id: name,
            name,
            arguments: "{}",
          }));
          call.reply({ ok: true, output: { kind: "text", text: "" }, toolCalls });
        }
      },
    });
    const outcome = await shadow.run(job, request);
    expect(ran).toEqual(["look"]);
    expect(outputs).toEqual(['{"error":"NOT_IN_SHADOW"}', '{"error":"NOT_IN_SHADOW"}', "1"]);
    expect(outcome.record.tools).toMatchObject([
      { tool: "order", code: "NOT_IN_SHADOW" },
      { tool: "book", code: "NOT_IN_SHADOW" },
      { tool: "look" },
    ]);
    expect(told().events.at(-1)).toMatchObject({ tools: [{ code: "NOT_IN_SHADOW" }, {}, {}] });
    await guard.run(job, request);
    expect(ran).toEqual(["look", "order", "book", "look"]);
  });
});

describe("a shadow's cap of money", () => {
  const budget = { callsPerRun: 100, maxOutputTokens: 20 };

  it("I3 lets no call start whose worst case is not left, and says BUDGET_COST", async () => {
    const calls: FakeCall<SampleJob>[] = [];
    const { guard, provider, told, clock } = bench({ budget, onCall: (call) => calls.push(call) });
    const shadow = guard.shadow({ costNanoUsdPerDay: 2 * worstNanoUsd });
    const first = shadow.run(job, request);
    const second = shadow.run(job, request);
    await clock.advanceAsync(0);
    // Both are under way, and may cost all of it.
    expect(await shadow.run(job, request)).toMatchObject({
      status: "STUBBED",
      reason: "BUDGET_COST",
      decision: { effect: "allow" },
    });
    expect(provider.calls).toHaveLength(2);
    // They cost 20 each, so 60 are left: one more at a time.
    for (const call of calls) call.reply(valueReply(sampleAnswer, usage));
    await Promise.all([first, second]);
    const third = shadow.run(job, request);
    await clock.advanceAsync(0);
    expect(provider.calls).toHaveLength(3);
    calls.at(-1)?.reply(valueReply(sampleAnswer, usage));
    await third;
    expect(await shadow.run(job, request)).toMatchObject({ reason: "BUDGET_COST" });
    shadow.flush();
    expect(told().samples.filter(({ kind }) => kind === "check")).toHaveLength(5);
    expect(shadow.inFlight).toBe(0);
  });

  it("begins again with the next day of UTC", async () => {
    const { guard, clock } = bench({ budget });
    const shadow = guard.shadow({ costNanoUsdPerDay: worstNanoUsd });
    await shadow.run(job, request);
    expect(await shadow.run(job, request)).toMatchObject({ reason: "BUDGET_COST" });
    await clock.advanceAsync(24 * 60 * 60 * 1000);
    expect(await shadow.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
  });

  it("never shortens an answer, which would compare as a bad one", async () => {
    const { guard, provider } = bench({ budget });
    const shadow = guard.shadow({ costNanoUsdPerDay: worstNanoUsd });
    await shadow.run(job, request);
    expect(provider.last().asked).toMatchObject({
      maxOutputTokens: 20,
      reserved: { outputTokens: 20 },
    });
  });

  it("counts by an output cap of its own where the guard has no budget", async () => {
    const { guard, provider } = bench();
    const shadow = guard.shadow({ costNanoUsdPerDay: 30, maxOutputTokens: 10 });
    expect(await shadow.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    expect(provider.last().asked.maxOutputTokens).toBe(10);
    expect(await shadow.run(job, request)).toMatchObject({ reason: "BUDGET_COST" });
    expect(await guard.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    expect(provider.last().asked.maxOutputTokens).toBeUndefined();
  });

  it("of a prompt that can't be counted lets nothing start", async () => {
    const counts = [Number.NaN, -1, 0.5];
    const { guard, provider } = bench({ budget, inputTokens: () => counts.pop() ?? throwing() });
    const shadow = guard.shadow({ costNanoUsdPerDay: 1e9 });
    for (let i = 0; i < 4; i += 1) {
      expect(await shadow.run(job, request)).toMatchObject({ status: "STUBBED" });
    }
    expect(provider.calls).toHaveLength(0);
    expect(shadow.inFlight).toBe(0);
  });

  it.each([
    ["without an output cap", {}, { costNanoUsdPerDay: 1 }, "shadow.maxOutputTokens"],
    ["with figures that are none", { budget }, { costNanoUsdPerDay: 0.5 }, "costNanoUsdPerDay"],
    ["with an option that there is not", { budget }, { cost: 1 }, "shadow"],
  ])("%s is refused at once", (_, more, options, names) => {
    expect(() => bench(more).guard.shadow(options as ShadowOptions)).toThrow(names);
  });

  it("of a model without a price, or a prompt that nobody counts, is refused at once", () => {
    expect(() => cappedOver({ model: "m" })).toThrow("without inputTokens");
    expect(() => cappedOver({ model: "other", inputTokens: () => 1 })).toThrow("no price");
    expect(() => cappedOver({ model: "m", inputTokens: () => 1 })).not.toThrow();
  });
});

const throwing = (): never => {
  throw new Error("a defect");
};

const parity: ParityFigures = {
  legacyValid: true,
  mirrorValid: false,
  equal: { intent: true, slotCount: false },
  lengthDifference: -12,
  latencyDifferenceMs: 301.5,
  similarity: 0.25,
};

describe("parity", () => {
  it("is a sample of the arm shadow", () => {
    const { shadow, told } = bench();
    shadow.noteParity(parity);
    expect(told().samples).toEqual([
      { kind: "parity", feature: "sample_ai", arm: "shadow", figures: parity },
    ]);
  });

  it.each([
    ["a field named as content may be", { equal: { "what is it?": true } }],
    ["more fields than 16", { equal: Object.fromEntries(fields(17)) }],
    ["a similarity that is none", { similarity: 1.5 }],
    ["a difference that is no number", { lengthDifference: Number.NaN }],
    ["words", { note: "sentinel" }],
  ])("I5 with %s counts nothing", (_, wrong) => {
    const { shadow, told } = bench();
    shadow.noteParity({ ...parity, ...wrong });
    expect(told().samples).toEqual([]);
  });

  it("takes as many fields as 16", () => {
    const { shadow, told } = bench();
    shadow.noteParity({ ...parity, equal: Object.fromEntries(fields(16)) });
    expect(told().samples).toHaveLength(1);
  });
});

function fields(count: number): readonly (readonly [string, boolean])[] {
  return Array.from({ length: count }, (_, place) => [`field${place}`, true] as const);
}

describe("a stream of a shadow", () => {
  it("flows as the guard's", async () => {
    const clock = new FakeClock();
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({
        streams: true,
        onCall: (call) => call.emit(delta(JSON.stringify(sampleAnswer)), { type: "finish" }),
      }),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      sinks: [() => undefined],
    });
    const types: string[] = [];
    for await (const { type } of guard.shadow().stream(job, request)) types.push(type);
    expect(types).toEqual(["text-delta", "finish"]);
  });
});
