import type { FailureCode, ProviderReply } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createGuard, staticFlags, type BreakerOptions } from "./index.ts";

// The breaker's library knows no clock but the process's timers.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterAll(() => {
  vi.useRealTimers();
});

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann" };
const good = valueReply(sampleAnswer);
const openMs = 5000;

/** Providers that answer what the test sets for them. */
function bench(
  names: readonly string[],
  more: { readonly breaker?: BreakerOptions; readonly failover?: boolean } = {},
) {
  const clock = new FakeClock();
  const record = recordingSink();
  const answers = new Map<string, ProviderReply>(names.map((name) => [name, good]));
  const providers = names.map((name) =>
    fakeProvider<SampleJob>({
      name,
      onCall: (call) => call.reply(answers.get(name) ?? good),
    }),
  );
  const guard = createGuard({
    ...sampleFeature,
    route: {
      providers,
      candidates: names.map((name) => ({ provider: name })),
      strategy: "failover",
      failover: more.failover ?? true,
    },
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    breaker: { openMs, windowMs: 60_000, ...more.breaker },
    retry: { maxRetries: 0 },
    sinks: [record.sink],
  });
  return {
    guard,
    clock,
    calls: (name: string) => providers.find((one) => one.name === name)?.calls.length,
    answer: (name: string, reply: ProviderReply) => void answers.set(name, reply),
    run: () => guard.run(job, request),
    describe: (name: string) =>
      guard.describe().providers.find(({ provider }) => provider === name),
    pass: async (ms: number) => {
      await clock.advanceAsync(ms);
      vi.advanceTimersByTime(ms);
    },
    alerts: (code: string) => {
      guard.flush();
      return record.of("alert").filter((alert) => alert.code === code);
    },
  };
}

const of = (httpStatus: number): ProviderReply => ({
  ...errorReply(httpStatus === 429 ? "PROVIDER_RATE_LIMITED" : "PROVIDER_UNAVAILABLE"),
  httpStatus,
});

describe("the circuit of a provider", () => {
  it("does not close on the one good call of 12×502, 4×503, one pass, 6×429", async () => {
    const { run, answer, describe: health, pass, calls } = bench(["only"]);
    answer("only", of(502));
    for (let i = 0; i < 12; i += 1) await run();
    expect(health("only")?.breaker).toBe("open");
    // The 10th opened it; the others were not made.
    expect(calls("only")).toBe(10);
    answer("only", of(503));
    for (let i = 0; i < 4; i += 1) {
      await pass(openMs);
      expect(health("only")?.breaker).toBe("half_open");
      await run();
      expect(health("only")?.breaker).toBe("open");
    }
    await pass(openMs);
    answer("only", good);
    expect(await run()).toMatchObject({ status: "SUCCEEDED" });
    expect(health("only")?.breaker).toBe("half_open");
    answer("only", of(429));
    for (let i = 0; i < 6; i += 1) {
      await run();
      await pass(60_000);
      expect(health("only")?.breaker).toBe("half_open");
    }
    answer("only", good);
    for (const state of ["half_open", "closed"]) {
      expect(await run()).toMatchObject({ status: "SUCCEEDED" });
      expect(health("only")?.breaker).toBe(state);
    }
  });

  it("says that it opened, and that it closed, once each", async () => {
    const { run, answer, pass, alerts } = bench(["only"], { breaker: { minCalls: 2 } });
    answer("only", of(502));
    for (let i = 0; i < 5; i += 1) await run();
    await pass(openMs);
    answer("only", good);
    for (let i = 0; i < 5; i += 1) await run();
    expect(alerts("BREAKER_STATE").map(({ message }) => message)).toEqual(
      [
        ["closed", "open"],
        ["open", "half_open"],
        ["half_open", "closed"],
      ].map(([from, to]) => `the circuit breaker of only went from ${from} to ${to}`),
    );
  });

  it("of another one is another: two providers fail independently", async () => {
    const {
      run,
      answer,
      describe: health,
      calls,
      pass,
    } = bench(["first", "second"], {
      breaker: { minCalls: 2 },
    });
    answer("first", of(502));
    for (let i = 0; i < 5; i += 1) expect(await run()).toMatchObject({ status: "SUCCEEDED" });
    expect([health("first")?.breaker, health("second")?.breaker]).toEqual(["open", "closed"]);
    expect([calls("first"), calls("second")]).toEqual([2, 5]);
    answer("second", of(429));
    expect(await run()).toMatchObject({ failure: { code: "PROVIDER_RATE_LIMITED" } });
    expect(await run()).toMatchObject({ status: "STUBBED", reason: "CIRCUIT_OPEN" });
    expect(health("second")).toMatchObject({ breaker: "closed", coolingMs: 1000 });
    expect(health("first")?.coolingMs).toBeUndefined();
    // The second's wait is over before the first's circuit lets a probe through.
    await pass(1000);
    answer("second", good);
    expect(await run()).toMatchObject({ record: { selectedProvider: "second" } });
    await pass(openMs);
    answer("first", good);
    expect(await run()).toMatchObject({ record: { selectedProvider: "first", skipped: [] } });
  });
});

describe("a provider that asks to be left alone", () => {
  it("is, and its circuit stays closed through a storm of 429", async () => {
    const {
      run,
      answer,
      describe: health,
      calls,
      pass,
      alerts,
    } = bench(["only"], {
      breaker: { minCalls: 1 },
    });
    answer("only", errorReply("PROVIDER_RATE_LIMITED", { retryAfterMs: 3000 }));
    expect(await run()).toMatchObject({ failure: { code: "PROVIDER_RATE_LIMITED" } });
    for (let i = 0; i < 50; i += 1) {
      const outcome = await run();
      expect(outcome).toMatchObject({
        status: "STUBBED",
        reason: "CIRCUIT_OPEN",
        decision: { gate: "circuit-breaker" },
      });
    }
    expect(calls("only")).toBe(1);
    expect(health("only")).toMatchObject({ breaker: "closed", coolingMs: 3000 });
    expect(alerts("BREAKER_STATE")).toEqual([]);
    expect(alerts("PROVIDER_COOLING_DOWN")).toMatchObject([
      {
        message: "only is left alone for 3000 ms after PROVIDER_RATE_LIMITED",
        figures: { ms: 3000 },
      },
    ]);
    await pass(2999);
    expect(await run()).toMatchObject({ status: "STUBBED" });
    await pass(1);
    answer("only", good);
    expect(await run()).toMatchObject({ status: "SUCCEEDED" });
  });

  it("is told once, however long the storm, and again after a good call", async () => {
    const { run, answer, pass, alerts, calls } = bench(["only"]);
    answer("only", of(429));
    for (const waitMs of [1000, 2000, 4000, 8000]) {
      await run();
      expect(await run()).toMatchObject({ status: "STUBBED" });
      await pass(waitMs);
    }
    expect(calls("only")).toBe(4);
    expect(alerts("PROVIDER_COOLING_DOWN")).toHaveLength(1);
    answer("only", good);
    expect(await run()).toMatchObject({ status: "SUCCEEDED" });
    answer("only", of(429));
    await run();
    await pass(1000);
    answer("only", good);
    expect(await run()).toMatchObject({ status: "SUCCEEDED" });
    expect(alerts("PROVIDER_COOLING_DOWN")).toHaveLength(2);
  });

  it.each([
    ["PROVIDER_QUOTA", 60_000],
    ["PROVIDER_AUTH", 10_000],
    ["PROVIDER_RATE_LIMITED", 1000],
  ] satisfies [FailureCode, number][])("for %s is for %d ms", async (code, ms) => {
    const {
      run,
      answer,
      pass,
      calls,
      describe: health,
    } = bench(["only"], {
      breaker: { minCalls: 1 },
    });
    answer("only", errorReply(code));
    await run();
    expect(health("only")).toMatchObject({ breaker: "closed", coolingMs: ms });
    await pass(ms - 1);
    expect(await run()).toMatchObject({ status: "STUBBED", reason: "CIRCUIT_OPEN" });
    await pass(1);
    await run();
    expect(calls("only")).toBe(2);
  });

  it("lets others stand in, who are called at once", async () => {
    const { run, answer, calls } = bench(["first", "second"]);
    answer("first", errorReply("PROVIDER_QUOTA"));
    expect(await run()).toMatchObject({
      record: { selectedProvider: "first", fallbackProvider: "second", fallbackUsed: true },
    });
    expect(await run()).toMatchObject({
      status: "SUCCEEDED",
      record: {
        selectedProvider: "second",
        fallbackUsed: false,
        skipped: [{ provider: "first", why: "cooling_down" }],
      },
    });
    expect([calls("first"), calls("second")]).toEqual([1, 2]);
  });

  it("is not replaced where failover is off", async () => {
    const { run, answer, calls } = bench(["first", "second"], { failover: false });
    answer("first", errorReply("PROVIDER_QUOTA"));
    expect(await run()).toMatchObject({ failure: { code: "PROVIDER_QUOTA" } });
    expect(await run()).toMatchObject({ status: "STUBBED", reason: "CIRCUIT_OPEN" });
    expect(calls("second")).toBe(0);
  });
});
