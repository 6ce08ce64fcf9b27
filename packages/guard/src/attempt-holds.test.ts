import type { ProviderReply } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  sampleStub,
  valueReply,
  type FakeProvider,
  type SampleJob,
} from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createGuard, memoryBudgets, staticFlags, type BudgetOptions } from "./index.ts";

// The breaker's library knows no clock but the process's timers.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterAll(() => {
  vi.useRealTimers();
});

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann", run: "run" };
const usage = { inputTokens: 7, outputTokens: 13 };
const good = valueReply(sampleAnswer, usage);
const down = errorReply("PROVIDER_UNAVAILABLE");
const prices = {
  cheap: { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1 },
  dear: { inputNanoUsdPerToken: 10, outputNanoUsdPerToken: 100 },
};

type Mode = "off" | "shadow" | "enforce";

function bench(
  providers: readonly FakeProvider<SampleJob>[],
  more: {
    readonly budget?: Partial<BudgetOptions>;
    readonly budgetMode?: Mode;
    readonly breakerMode?: Mode;
    readonly onIndeterminate?: "open" | "closed";
    readonly maxRetries?: number;
    readonly minCalls?: number;
  } = {},
) {
  const clock = new FakeClock();
  const record = recordingSink();
  const guard = createGuard({
    ...sampleFeature,
    route: {
      providers,
      candidates: providers.map(({ name }) => ({ provider: name })),
      strategy: "failover",
      failover: true,
    },
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    prices,
    budget: { tokensPerRun: 1000, maxOutputTokens: 100, ...more.budget },
    gates: {
      budget: {
        mode: more.budgetMode ?? "enforce",
        onIndeterminate: more.onIndeterminate ?? "closed",
      },
      "circuit-breaker": { mode: more.breakerMode ?? "enforce" },
    },
    breaker: { minCalls: more.minCalls ?? 1000 },
    retry: { maxRetries: more.maxRetries ?? 1, budgetRatio: 1 },
    random: () => 0,
    sinks: [record.sink],
  });
  return { guard, clock, record, use: () => guard.budget.use("run") };
}

/** Gives its replies in their order, the last one again and again; without one it hangs. */
function scripted(name: string, model: string, ...replies: readonly ProviderReply[]) {
  const left = [...replies];
  return fakeProvider<SampleJob>({
    name,
    model,
    inputTokens: () => 10,
    onCall(call) {
      const reply = left.length > 1 ? left.shift() : left[0];
      if (reply !== undefined) call.reply(reply);
    },
  });
}

describe("I3 the budget of several attempts", () => {
  it("counts each attempt: what failed without usage stays reserved, what succeeded is settled", async () => {
    const provider = scripted("only", "cheap", down, good);
    const { guard, clock, use } = bench([provider]);
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    expect(await running).toMatchObject({ status: "SUCCEEDED" });
    expect(use()).toEqual({ calls: 2, tokens: 110 + 20, costNanoUsd: 110 + 20 });
  });

  it("is not touched by an attempt that failed before it was dispatched", async () => {
    const provider = scripted(
      "only",
      "cheap",
      errorReply("PROVIDER_UNAVAILABLE", { dispatched: false }),
      good,
    );
    const { guard, clock, use } = bench([provider]);
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    await running;
    expect(use()).toEqual({ calls: 1, tokens: 20, costNanoUsd: 20 });
  });

  it("is charged what a failed attempt tells it used", async () => {
    const provider = scripted("only", "cheap", errorReply("PROVIDER_UNAVAILABLE", { usage }), good);
    const { guard, clock, use } = bench([provider]);
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    const { record } = await running;
    expect(use()).toEqual({ calls: 2, tokens: 40, costNanoUsd: 40 });
    expect(record).toMatchObject({
      usage: { inputTokens: 14, outputTokens: 26 },
      costNanoUsd: 40,
      attempts: [
        { usage, costNanoUsd: 20 },
        { usage, costNanoUsd: 20 },
      ],
    });
  });

  it.each([
    ["calls", { callsPerRun: 1 }],
    ["tokens", { tokensPerRun: 115 }],
    ["money", { costNanoUsdPerRun: 115 }],
  ])(
    "without %s for a second attempt leaves the first failure, and says why",
    async (_, budget) => {
      const first = scripted("first", "cheap", down);
      const second = scripted("second", "cheap", good);
      for (const providers of [[first], [first, second]]) {
        const { guard, clock, record, use } = bench(providers, { budget });
        const running = guard.run(job, request);
        await clock.advanceAsync(0);
        expect(await running).toMatchObject({
          status: "FAILED",
          failure: { code: "PROVIDER_UNAVAILABLE" },
          record: { attempts: [{ code: "PROVIDER_UNAVAILABLE" }], skipped: [{ why: "budget" }] },
        });
        expect(use()).toMatchObject({ calls: 1, tokens: 110 });
        guard.flush();
        expect(record.of("outcome")).toMatchObject([{ skipped: [{ why: "budget" }] }]);
      }
      expect(second.calls).toEqual([]);
    },
  );

  it("lowers the output of a further attempt to what is left", async () => {
    const provider = scripted("only", "cheap", down, good);
    const { guard, clock } = bench([provider], { budget: { tokensPerRun: 150 } });
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    await running;
    expect(provider.calls.map(({ asked }) => asked.maxOutputTokens)).toEqual([100, 30]);
    expect(provider.calls.map(({ asked }) => asked.reserved?.outputTokens)).toEqual([100, 30]);
  });

  it("reserves at the price of the candidate that stands in", async () => {
    const first = scripted("first", "cheap", down);
    const second = scripted("second", "dear");
    const { guard, clock, use } = bench([first, second], { maxRetries: 0 });
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    expect(use()).toEqual({ calls: 2, tokens: 220, costNanoUsd: 110 + 100 + 10_000 });
    second.last().reply(good);
    await running;
    expect(use()).toEqual({ calls: 2, tokens: 130, costNanoUsd: 110 + 70 + 1300 });
  });

  it("is reserved again, at the other's price, where the circuit of the first is open", async () => {
    const first = scripted("first", "cheap", down);
    const second = scripted("second", "dear", good);
    const { guard, use } = bench([first, second], { maxRetries: 0, minCalls: 1 });
    await guard.run(job, { subject: "opens it" });
    const running = guard.run(job, request);
    expect(second.last().asked.reserved).toEqual({
      inputTokens: 10,
      outputTokens: 100,
      costNanoUsd: 100 + 10_000,
    });
    expect(await running).toMatchObject({
      status: "SUCCEEDED",
      record: {
        selectedProvider: "second",
        fallbackUsed: false,
        skipped: [{ provider: "first", why: "circuit_open" }],
      },
    });
    expect(first.calls).toHaveLength(1);
    expect(use()).toEqual({ calls: 1, tokens: 20, costNanoUsd: 70 + 1300 });
  });

  it("that can't pay the other's price sends the request to the safe path, and holds nothing", async () => {
    const first = scripted("first", "cheap", down);
    const second = scripted("second", "dear", good);
    const { guard, use } = bench([first, second], {
      maxRetries: 0,
      minCalls: 1,
      budget: { costNanoUsdPerRun: 1000 },
    });
    await guard.run(job, { subject: "opens it" });
    const calls = second.calls.length;
    expect(await guard.run(job, request)).toMatchObject({
      status: "STUBBED",
      reason: "BUDGET_COST",
      value: sampleStub,
      record: {
        fallbackUsed: true,
        attempts: [],
        skipped: [
          { provider: "first", why: "circuit_open" },
          { provider: "second", why: "budget" },
        ],
      },
    });
    expect(second.calls).toHaveLength(calls);
    expect(use()).toEqual({ calls: 0, tokens: 0, costNanoUsd: 0 });
  });

  it("whose counter throws for a further attempt is closed, or open, as configured", async () => {
    for (const onIndeterminate of ["closed", "open"] as const) {
      const first = scripted("first", "cheap", down);
      const second = fakeProvider<SampleJob>({
        name: "second",
        inputTokens: () => {
          throw new Error("planted");
        },
        onCall: (call) => call.reply(good),
      });
      const { guard, record } = bench([first, second], { maxRetries: 0, onIndeterminate });
      expect(await guard.run(job, request)).toMatchObject(
        onIndeterminate === "open"
          ? { status: "SUCCEEDED" }
          : { failure: { code: "PROVIDER_UNAVAILABLE" }, record: { skipped: [{ why: "budget" }] } },
      );
      expect(guard.inFlight).toBe(0);
      guard.flush();
      expect(record.of("alert")).toMatchObject([{ code: "DEPENDENCY_THREW" }]);
    }
  });

  it("whose counter throws where the first circuit is open is closed, and gives the permit back", async () => {
    const first = scripted("first", "cheap", down);
    const second = fakeProvider<SampleJob>({
      name: "second",
      inputTokens: () => {
        throw new Error("planted");
      },
      onCall: (call) => call.reply(good),
    });
    const { guard, use } = bench([first, second], { maxRetries: 0, minCalls: 1 });
    await guard.run(job, { subject: "opens it" });
    expect(await guard.run(job, request)).toMatchObject({
      status: "STUBBED",
      reason: "STORE_UNAVAILABLE",
    });
    expect(use()).toEqual({ calls: 0, tokens: 0, costNanoUsd: 0 });
    expect(guard.inFlight).toBe(0);
  });

  it("hold a request without a run to its caps, as a run of its own", async () => {
    const first = scripted("first", "cheap", down);
    const second = scripted("second", "cheap", good);
    const { guard } = bench([first, second], { maxRetries: 0, budget: { callsPerRun: 1 } });
    expect(await guard.run(job, { subject: "alone" })).toMatchObject({
      failure: { code: "PROVIDER_UNAVAILABLE" },
      record: { skipped: [{ provider: "second", why: "budget" }] },
    });
    expect(second.calls).toEqual([]);
    guard.close();
  });

  it("that refuses a further attempt gives the probe back that it would have been", async () => {
    const first = scripted("first", "cheap", down);
    const second = scripted("second", "cheap", down, good);
    const { guard, clock } = bench([first, second], {
      maxRetries: 0,
      minCalls: 1,
      budget: { callsPerRun: 2 },
    });
    guard.budget.restore("run", { calls: 1, tokens: 1, costNanoUsd: 0 });
    await guard.run(job, { subject: "opens both" });
    vi.advanceTimersByTime(30_000);
    expect(guard.describe().providers.map(({ breaker }) => breaker)).toEqual([
      "half_open",
      "half_open",
    ]);
    expect(await guard.run(job, request)).toMatchObject({
      record: { skipped: [{ why: "budget" }] },
    });
    expect(await guard.run(job, { subject: "another" })).toMatchObject({
      status: "SUCCEEDED",
      record: { selectedProvider: "second" },
    });
    expect(clock.monotonicMs()).toBe(0);
  });

  it("that can't pay the other's price gives the probe back that it would have been", async () => {
    const first = scripted("first", "cheap", down);
    const second = scripted("second", "dear", down, good);
    const { guard } = bench([first, second], {
      maxRetries: 0,
      minCalls: 1,
      budget: { costNanoUsdPerRun: 12_000 },
    });
    guard.budget.restore("run", { calls: 1, tokens: 1, costNanoUsd: 11_500 });
    await guard.run(job, { subject: "opens both" });
    vi.advanceTimersByTime(30_000);
    await guard.run(job, { subject: "opens the first again" });
    expect(guard.describe().providers.map(({ breaker }) => breaker)).toEqual(["open", "half_open"]);
    expect(await guard.run(job, request)).toMatchObject({
      status: "STUBBED",
      reason: "BUDGET_COST",
    });
    expect(await guard.run(job, { subject: "another" })).toMatchObject({ status: "SUCCEEDED" });
  });

  it("whose store throws for a further attempt keeps the first failure", async () => {
    const store = memoryBudgets();
    let asked = 0;
    const throwing = {
      ...store,
      reserve(...args: Parameters<typeof store.reserve>) {
        asked += 1;
        if (asked > 1) throw new Error("planted");
        return store.reserve(...args);
      },
    };
    const { guard, clock } = bench([scripted("only", "cheap", down)], {
      budget: { store: throwing },
    });
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    expect(await running).toMatchObject({ failure: { code: "PROVIDER_UNAVAILABLE" } });
    expect(guard.inFlight).toBe(0);
  });
});

describe("the modes of the gates over further attempts", () => {
  const spent = { callsPerRun: 1 };

  it.each(["shadow", "off"] as const)("a budget in mode %s refuses none", async (budgetMode) => {
    const provider = scripted("only", "cheap", down, good);
    const { guard, clock } = bench([provider], { budget: spent, budgetMode });
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    expect(await running).toMatchObject({ status: "SUCCEEDED", record: { skipped: [] } });
    expect(provider.calls).toHaveLength(2);
  });

  it("a budget in shadow lowers no output, and counts what it may", async () => {
    const provider = scripted("only", "cheap", down, good);
    const { guard, clock, use } = bench([provider], {
      budget: { tokensPerRun: 115 },
      budgetMode: "shadow",
    });
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    await running;
    expect(provider.calls.map(({ asked }) => asked.maxOutputTokens)).toEqual([100, 100]);
    expect(use()).toMatchObject({ calls: 1, tokens: 110 });
  });

  it.each(["shadow", "off"] as const)(
    "a breaker in mode %s keeps nobody from the first choice",
    async (breakerMode) => {
      const first = scripted("first", "cheap", down);
      const second = scripted("second", "cheap", good);
      const { guard } = bench([first, second], { maxRetries: 0, minCalls: 1, breakerMode });
      for (let i = 0; i < 3; i += 1) {
        const { record, decision } = await guard.run(job, request);
        expect(record).toMatchObject({
          selectedProvider: "first",
          fallbackProvider: "second",
          skipped: [],
        });
        expect(decision.effect).toBe("allow");
      }
      expect(first.calls).toHaveLength(3);
    },
  );

  it("a breaker in shadow tells that it would divert only where nobody may be called", async () => {
    const provider = scripted("only", "cheap", down);
    const { guard } = bench([provider], { maxRetries: 0, minCalls: 1, breakerMode: "shadow" });
    await guard.run(job, request);
    const { decision } = await guard.run(job, request);
    expect(decision.trail).toContainEqual({
      gate: "circuit-breaker",
      verdict: "would_divert",
      reason: "CIRCUIT_OPEN",
    });
    expect(provider.calls).toHaveLength(2);
  });

  it("a breaker in force keeps a retry from a circuit that opened meanwhile", async () => {
    const first = scripted("first", "cheap", down);
    const second = scripted("second", "cheap", good);
    const { guard, clock } = bench([first, second], { minCalls: 1 });
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    expect(await running).toMatchObject({
      status: "SUCCEEDED",
      record: {
        fallbackProvider: "second",
        skipped: [{ provider: "first", why: "circuit_open" }],
      },
    });
    expect(first.calls).toHaveLength(1);
  });
});
