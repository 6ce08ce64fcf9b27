import { Reason, type AdmissionStore, type SharedReply } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeProvider,
  type SampleJob,
} from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createGuard, memoryAdmission, staticFlags } from "./index.ts";

// The breaker's library knows no clock but the process's timers.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterAll(() => {
  vi.useRealTimers();
});

const job: SampleJob = { prompt: "p" };

function bench(
  provider: FakeProvider<SampleJob>,
  clock: FakeClock,
  admission: AdmissionStore,
  maxOutputTokens: number,
) {
  return createGuard({
    ...sampleFeature,
    provider,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    admission,
    budget: { callsPerRun: 1000, maxOutputTokens },
    retry: { maxRetries: 1, budgetRatio: 1 },
    breaker: { minCalls: 1000 },
    random: () => 0,
  });
}

describe("budgets that requests share", () => {
  it("lower the output that a provider may make to what is left, and are settled by real usage", async () => {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>({ inputTokens: () => 10 });
    const admission = memoryAdmission({ globalBudget: { tokens: 70 }, clock });
    const guard = bench(provider, clock, admission, 100);
    const first = guard.run(job, { subject: "ann" });
    await clock.advanceAsync(0);
    expect(provider.last().asked.maxOutputTokens).toBe(60);
    provider.last().reply(valueReply(sampleAnswer, { inputTokens: 10, outputTokens: 5 }));
    await first;
    const second = guard.run(job, { subject: "ben" });
    await clock.advanceAsync(0);
    expect(provider.last().asked.maxOutputTokens).toBe(45);
    provider.last().reply(valueReply(sampleAnswer, { inputTokens: 10, outputTokens: 45 }));
    await second;
    expect(await guard.run(job, { subject: "cat" })).toMatchObject({
      status: "REJECTED",
      reason: Reason.BUDGET_TOKENS,
    });
  });

  it("I3 let at most 12 of 200 concurrent calls of 16 tokens run on a budget of 200", async () => {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>({ inputTokens: () => 6 });
    const admission = memoryAdmission({ globalBudget: { tokens: 200 }, clock });
    const guard = bench(provider, clock, admission, 10);
    const runs = Array.from({ length: 200 }, (_, i) => guard.run(job, { subject: `u${i}` }));
    await clock.advanceAsync(0);
    const granted = provider.calls.map(({ asked }) => 6 + (asked.maxOutputTokens ?? 0));
    expect(granted.reduce((sum, tokens) => sum + tokens, 0)).toBeLessThanOrEqual(200);
    expect(granted.filter((tokens) => tokens === 16)).toHaveLength(12);
    for (const call of provider.calls) {
      call.reply(valueReply(sampleAnswer, { inputTokens: 6, outputTokens: 1 }));
    }
    await Promise.all(runs);
  });

  it("I4 that never answer for a further attempt end it after two seconds", async () => {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>({
      onCall: (call) => call.reply(errorReply("PROVIDER_UNAVAILABLE")),
    });
    const memory = memoryAdmission({ globalBudget: { tokens: 1000 }, clock });
    const { promise: never } = Promise.withResolvers<SharedReply>();
    const admission: AdmissionStore = {
      ...memory,
      acquire(subject, ask) {
        const reply = memory.acquire(subject, ask);
        if (reply instanceof Promise || reply === "unavailable" || !reply.admitted) return reply;
        const { reservation } = reply;
        if (reservation === undefined) return reply;
        return { ...reply, reservation: { ...reservation, further: () => never } };
      },
    };
    const guard = bench(provider, clock, admission, 100);
    const ended = vi.fn<() => void>();
    const run = guard.run(job, { subject: "ann" }).then(ended);
    await clock.advanceAsync(1000);
    expect(ended).not.toHaveBeenCalled();
    await clock.advanceAsync(2000);
    expect(ended).toHaveBeenCalledOnce();
    expect(provider.calls).toHaveLength(1);
    await run;
  });
});
