import type { BudgetStore, Usage } from "@sluice/contract";
import {
  FakeClock,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeProviderOptions,
  type SampleJob,
} from "@sluice/testkit";
import * as fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createGuard, memoryBudgets, staticFlags, type BudgetOptions } from "../index.ts";

const price = { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 };

function budgeted(budget: BudgetOptions, behaviour: FakeProviderOptions<SampleJob> = {}) {
  const provider = fakeProvider<SampleJob>({
    model: "model-1",
    inputTokens: (job) => job.prompt.length,
    ...behaviour,
  });
  const guard = createGuard({
    ...sampleFeature,
    provider,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock: new FakeClock(),
    budget,
    prices: { "model-1": price },
    sinks: [() => 0],
  });
  return { guard, provider };
}

const answering = (usage?: Usage): FakeProviderOptions<SampleJob> => ({
  onCall: (call) => call.reply(valueReply(sampleAnswer, usage)),
});

const job: SampleJob = { prompt: "0123456789" };

describe("the budget of a run", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("I3 for 10 calls lets exactly 10 of 200 concurrent requests call, without a warning", async () => {
    const warn = vi.spyOn(process, "emitWarning");
    const { guard, provider } = budgeted({ callsPerRun: 10, maxOutputTokens: 100 });
    const { signal } = new AbortController();
    const running = Array.from({ length: 200 }, (_, index) =>
      guard.run(job, { subject: `subject-${index}`, run: "batch", signal }),
    );
    expect(provider.calls).toHaveLength(10);
    for (const call of provider.calls) call.reply(valueReply(sampleAnswer));
    const outcomes = await Promise.all(running);
    expect(outcomes.filter((outcome) => outcome.status === "SUCCEEDED")).toHaveLength(10);
    expect(
      outcomes.filter((one) => one.status === "STUBBED" && one.reason === "BUDGET_CALLS"),
    ).toHaveLength(190);
    expect(warn).not.toHaveBeenCalled();
    guard.close();
  });

  it("I3 over tokens counts the prompt and the whole output before the call, and what it used after", async () => {
    const usage = { inputTokens: 8, outputTokens: 12 };
    const { guard, provider } = budgeted({ tokensPerRun: 250, maxOutputTokens: 100 });
    const request = { subject: "alice", run: "batch" };
    const first = guard.run(job, request);
    const second = guard.run(job, request);
    expect(guard.budget.use("batch").tokens).toBe(220);
    // 30 are left: a prompt of 10, and 20 for the answer.
    const third = guard.run(job, request);
    expect(provider.last().asked.maxOutputTokens).toBe(20);
    expect(await guard.run(job, request)).toMatchObject({ reason: "BUDGET_TOKENS" });
    for (const call of provider.calls) call.reply(valueReply(sampleAnswer, usage));
    await Promise.all([first, second, third]);
    expect(guard.budget.use("batch")).toMatchObject({ calls: 3, tokens: 60 });
    guard.close();
  });

  it("I3 over money refuses a call that it can't pay the worst case of", async () => {
    // A prompt of 10 and 16 tokens of output cost 11,100 nano-dollars.
    const request = { subject: "alice", run: "batch" };
    const poor = budgeted({ costNanoUsdPerRun: 11_099, maxOutputTokens: 100 });
    expect(await poor.guard.run(job, request)).toMatchObject({ reason: "BUDGET_COST" });
    const rich = budgeted({ costNanoUsdPerRun: 11_100, maxOutputTokens: 100 }, answering());
    expect(await rich.guard.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    expect(rich.provider.last().asked.maxOutputTokens).toBe(16);
    expect(rich.guard.budget.use("batch").costNanoUsd).toBe(11_100);
    poor.guard.close();
    rich.guard.close();
  });

  it("I3 charges also what a provider reports beyond its bound, and then lets nothing more through", async () => {
    const usage = { inputTokens: 500, outputTokens: 500 };
    const { guard } = budgeted({ tokensPerRun: 250, maxOutputTokens: 100 }, answering(usage));
    const request = { subject: "alice", run: "batch" };
    await guard.run(job, request);
    expect(guard.budget.use("batch").tokens).toBe(1000);
    expect(await guard.run(job, request)).toMatchObject({ reason: "BUDGET_TOKENS" });
    guard.close();
  });

  it.each([[Number.NaN], [-1], [1.5], [Number.POSITIVE_INFINITY], ["10"], [undefined]])(
    "does not call for a prompt that a provider counts as %j tokens",
    async (count) => {
      const { guard, provider } = budgeted(
        { tokensPerRun: 250, maxOutputTokens: 100 },
        { inputTokens: () => count as number },
      );
      expect(await guard.run(job, { subject: "alice" })).toMatchObject({
        status: "STUBBED",
        reason: "BUDGET_TOKENS",
      });
      expect(provider.calls).toHaveLength(0);
      guard.close();
    },
  );

  it("of calls alone never counts a prompt", async () => {
    let counted = 0;
    const { guard } = budgeted(
      { callsPerRun: 5, maxOutputTokens: 100 },
      {
        ...answering(),
        inputTokens: () => {
          counted += 1;
          return 0;
        },
      },
    );
    await guard.run(job, { subject: "alice" });
    expect(counted).toBe(0);
    guard.close();
  });

  it("is each request's own where there is no run", async () => {
    const { guard, provider } = budgeted({ callsPerRun: 1, maxOutputTokens: 100 }, answering());
    for (let i = 0; i < 5; i += 1) await guard.run(job, { subject: "alice" });
    expect(provider.calls).toHaveLength(5);
    guard.close();
  });

  it("is shared by guards that share a store", async () => {
    const store = memoryBudgets();
    const budget = { callsPerRun: 1, maxOutputTokens: 100, store };
    const first = budgeted(budget, answering());
    const second = budgeted(budget, answering());
    const request = { subject: "alice", run: "batch" };
    expect(await first.guard.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    expect(await second.guard.run(job, request)).toMatchObject({ reason: "BUDGET_CALLS" });
    first.guard.close();
    second.guard.close();
  });

  it("whose store can't tell is closed, or open without a reservation", async () => {
    const store: BudgetStore = { ...memoryBudgets(), reserve: () => "unavailable" };
    for (const onIndeterminate of ["closed", "open"] as const) {
      const provider = fakeProvider<SampleJob>(answering());
      const guard = createGuard({
        ...sampleFeature,
        provider,
        flags: staticFlags({ sample_ai: { enabled: true } }),
        budget: { callsPerRun: 1, maxOutputTokens: 100, store },
        gates: { budget: { onIndeterminate } },
        sinks: [() => 0],
      });
      const outcome = await guard.run(job, { subject: "alice" });
      expect(outcome.status).toBe(onIndeterminate === "open" ? "SUCCEEDED" : "STUBBED");
      expect(provider.calls.map((call) => call.asked.reserved)).toEqual(
        onIndeterminate === "open" ? [undefined] : [],
      );
      expect(provider.calls.every((call) => call.asked.maxOutputTokens === 100)).toBe(true);
      guard.close();
    }
  });

  it("I3 is never exceeded by concurrent requests of any size, whatever they really use", async () => {
    const caps = { callsPerRun: 8, tokensPerRun: 300, costNanoUsdPerRun: 150_000 };
    const sizes = fc.array(
      fc.record({ prompt: fc.nat(120), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
      { minLength: 1, maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(sizes, async (asked) => {
        const { guard, provider } = budgeted({ ...caps, maxOutputTokens: 90 });
        const running: Promise<unknown>[] = [];
        const answered = new Set<unknown>();
        for (const [index, { prompt, share }] of asked.entries()) {
          const text = "x".repeat(prompt);
          running.push(guard.run({ prompt: text }, { subject: "alice", run: "batch" }));
          const call = provider.calls[Math.floor(share * index)];
          if (call !== undefined && !answered.has(call)) {
            answered.add(call);
            const { inputTokens = 0, outputTokens = 0 } = call.asked.reserved ?? {};
            const usage = { inputTokens, outputTokens: Math.floor(outputTokens * share) };
            call.reply(valueReply(sampleAnswer, usage));
            await new Promise((resolve) => {
              setImmediate(resolve);
            });
          }
          const use = guard.budget.use("batch");
          expect(use.calls).toBeLessThanOrEqual(caps.callsPerRun);
          expect(use.tokens).toBeLessThanOrEqual(caps.tokensPerRun);
          expect(use.costNanoUsd).toBeLessThanOrEqual(caps.costNanoUsdPerRun);
        }
        guard.kill();
        await Promise.all(running);
        guard.close();
      }),
    );
  });
});
