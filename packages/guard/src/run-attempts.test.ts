import type { FailureCode, ProviderReply } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  sampleStub,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createGuard, staticFlags, type RetryOptions } from "./index.ts";

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann" };
const good = valueReply(sampleAnswer);
const down = errorReply("PROVIDER_UNAVAILABLE");

/** Each provider gives its replies in their order, the last one again and again; without one it hangs. */
function bench(
  replies: Readonly<Record<string, readonly ProviderReply[]>>,
  more: { readonly retry?: RetryOptions; readonly random?: number } = {},
) {
  const clock = new FakeClock();
  const record = recordingSink();
  const order: string[] = [];
  const atMs: number[] = [];
  let warm = true;
  const providers = Object.entries(replies).map(([name, script]) => {
    const left = [...script];
    return fakeProvider<SampleJob>({
      name,
      onCall(call) {
        if (warm) return call.reply(good);
        order.push(name);
        atMs.push(clock.monotonicMs());
        const reply = left.length > 1 ? left.shift() : left[0];
        if (reply !== undefined) call.reply(reply);
      },
    });
  });
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
    breaker: { minCalls: 1000 },
    retry: { maxRetries: 3, budgetRatio: 1, ...more.retry },
    random: () => more.random ?? 0.5,
    sinks: [record.sink],
  });
  return {
    guard,
    clock,
    record,
    providers,
    /** Who was called, in that order. */
    order,
    /** When. */
    atMs,
    /** Good calls, which earn the right to retry. */
    warmUp: async (calls = 10): Promise<void> => {
      for (let i = 0; i < calls; i += 1) await guard.run(job, { subject: "warm" });
      warm = false;
    },
  };
}

describe("a failed attempt is made again", () => {
  it.each([0, 0.25, 0.5, 0.999_999])(
    "after a wait of full jitter that doubles: random %d",
    async (random) => {
      const { guard, clock, atMs, warmUp } = bench(
        { first: [down] },
        { random, retry: { baseMs: 200, maxBackoffMs: 500 } },
      );
      await warmUp();
      const running = guard.run(job, request);
      await clock.advanceAsync(2000);
      const waits = atMs.slice(1).map((ms, index) => ms - (atMs[index] ?? 0));
      // 800 is above the most that a wait may be.
      expect(waits).toHaveLength(3);
      for (const [index, mostMs] of [200, 400, 500].entries()) {
        expect(waits[index]).toBeCloseTo(random * mostMs, 6);
        expect(waits[index]).toBeLessThan(mostMs);
      }
      expect(await running).toMatchObject({ failure: { code: "PROVIDER_UNAVAILABLE" } });
    },
  );

  it("until it succeeds, and the request with it", async () => {
    const { guard, clock, warmUp } = bench({ first: [down, down, good] });
    await warmUp();
    const running = guard.run(job, request);
    await clock.advanceAsync(10_000);
    expect(await running).toMatchObject({
      status: "SUCCEEDED",
      record: {
        selectedProvider: "first",
        fallbackUsed: false,
        attempts: [{ code: down.code }, { code: down.code }, { provider: "first" }],
      },
    });
  });

  it("not sooner than the upstream asked for", async () => {
    const { guard, clock, order, warmUp } = bench({
      first: [errorReply("PROVIDER_RATE_LIMITED", { retryAfterMs: 3000 }), good],
    });
    await warmUp();
    const running = guard.run(job, request);
    await clock.advanceAsync(2999);
    expect(order).toHaveLength(1);
    await clock.advanceAsync(1);
    expect(await running).toMatchObject({ status: "SUCCEEDED", record: { latencyMs: 3000 } });
  });

  it("not at all where the upstream asked for more than is waited", async () => {
    const slow = errorReply("PROVIDER_UNAVAILABLE", { retryAfterMs: 5001 });
    const alone = bench({ first: [slow, good] });
    await alone.warmUp();
    expect(await alone.guard.run(job, request)).toMatchObject({ failure: { code: slow.code } });
    expect(alone.order).toEqual(["first"]);

    const pair = bench({ first: [slow, good], second: [good] });
    await pair.warmUp();
    expect(await pair.guard.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    expect(pair.order).toEqual(["first", "second"]);
  });

  it("elsewhere at once where it was rate limited and another candidate is there", async () => {
    const { guard, order, warmUp } = bench({
      first: [errorReply("PROVIDER_RATE_LIMITED", { retryAfterMs: 1 })],
      second: [good],
    });
    await warmUp();
    expect(await guard.run(job, request)).toMatchObject({
      status: "SUCCEEDED",
      record: { fallbackProvider: "second", latencyMs: 0 },
    });
    expect(order).toEqual(["first", "second"]);
  });

  it("at the same candidate first, then at the next one without a wait", async () => {
    const { guard, clock, order, warmUp } = bench(
      { first: [down], second: [good] },
      { retry: { maxRetries: 1, baseMs: 200 } },
    );
    await warmUp();
    const running = guard.run(job, request);
    await clock.advanceAsync(100);
    expect(await running).toMatchObject({ status: "SUCCEEDED", record: { latencyMs: 100 } });
    expect(order).toEqual(["first", "first", "second"]);
  });

  it.each([
    "PROVIDER_QUOTA",
    "PROVIDER_AUTH",
    "PROVIDER_BAD_REQUEST",
    "REFUSED",
    "CONTENT_FILTERED",
    "OUTPUT_TRUNCATED",
    "INTERNAL",
  ] satisfies FailureCode[])("never at the same candidate after %s", async (code) => {
    const { guard, order, warmUp } = bench({ first: [errorReply(code), good] });
    await warmUp();
    expect(await guard.run(job, request)).toMatchObject({ failure: { code } });
    expect(order).toEqual(["first"]);
  });

  it.each(["REFUSED", "CONTENT_FILTERED", "OUTPUT_TRUNCATED", "INTERNAL"] satisfies FailureCode[])(
    "nowhere after %s, which is the model's own word or a defect",
    async (code) => {
      const { guard, order, warmUp } = bench({ first: [errorReply(code)], second: [good] });
      await warmUp();
      expect(await guard.run(job, request)).toMatchObject({ failure: { code } });
      expect(order).toEqual(["first"]);
    },
  );
});

describe("the retry budget", () => {
  it("lets 100 failing requests with 3 retries each make at most 120 calls", async () => {
    const { guard, clock, order, warmUp } = bench(
      { first: [down] },
      { retry: { budgetRatio: 0.2 } },
    );
    await warmUp(0);
    const outcomes = Promise.all(Array.from({ length: 100 }, () => guard.run(job, request)));
    await clock.advanceAsync(20_000);
    await outcomes;
    expect(order).toHaveLength(120);
  });

  it("holds over requests one after another too", async () => {
    const { guard, clock, order, warmUp } = bench(
      { first: [down] },
      { retry: { budgetRatio: 0.2 } },
    );
    await warmUp(0);
    for (let calls = 1; calls <= 100; calls += 1) {
      const running = guard.run(job, request);
      await clock.advanceAsync(5000);
      await running;
      expect(order.length).toBeLessThanOrEqual(calls * 1.2);
    }
    expect(order).toHaveLength(120);
  });

  it("has nothing at the start, and the record says why there was no retry", async () => {
    const { guard, record, order, warmUp } = bench(
      { first: [down, good] },
      { retry: { budgetRatio: 0.2 } },
    );
    await warmUp(0);
    const outcome = await guard.run(job, request);
    expect(outcome).toMatchObject({
      status: "FAILED",
      record: { skipped: [{ provider: "first", why: "retry_budget" }] },
    });
    expect(order).toEqual(["first"]);
    guard.flush();
    expect(record.of("outcome")).toMatchObject([
      { skipped: [{ provider: "first", why: "retry_budget" }] },
    ]);
  });

  it("that is spent lets the next candidate stand in at once", async () => {
    const { guard, order, warmUp } = bench(
      { first: [down], second: [good] },
      { retry: { budgetRatio: 0 } },
    );
    await warmUp(0);
    expect(await guard.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    expect(order).toEqual(["first", "second"]);
  });
});

/** A request that waits for its retry. */
const waiting = async () => {
  const made = bench({ first: [down, good] }, { retry: { baseMs: 4000 } });
  await made.warmUp();
  const controller = new AbortController();
  const running = made.guard.run(job, { ...request, signal: controller.signal });
  await made.clock.advanceAsync(1000);
  expect(made.order).toEqual(["first"]);
  return { ...made, running, controller };
};

describe("between two attempts", () => {
  it("I1 a kill ends the wait at once, and no further call is made", async () => {
    const { guard, clock, order, running, record } = await waiting();
    guard.kill();
    expect(await running).toMatchObject({
      status: "STUBBED",
      reason: "KILLED",
      value: sampleStub,
      record: { fallbackUsed: true, latencyMs: 1000, attempts: [{ code: down.code }] },
    });
    await clock.advanceAsync(20_000);
    expect(order).toEqual(["first"]);
    expect(guard.inFlight).toBe(0);
    expect(clock.pendingTimers).toBe(0);
    guard.flush();
    expect(record.of("outcome").filter(({ outcome }) => outcome === "STUBBED")).toHaveLength(1);
  });

  it("I1 a kill that is lifted at once ends the request all the same", async () => {
    const { guard, clock, order, running } = await waiting();
    guard.kill();
    guard.restore();
    expect(await running).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    await clock.advanceAsync(20_000);
    expect(order).toEqual(["first"]);
    expect(await guard.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
  });

  it("I1 a kill before a failover keeps the other candidate from being called", async () => {
    const { guard, providers, order, warmUp, clock } = bench({ first: [], second: [good] });
    await warmUp();
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    // Heard of after the failure, and before anybody stands in.
    void Promise.resolve().then(() => guard.kill());
    providers[0]?.last().reply(errorReply("PROVIDER_BAD_REQUEST"));
    expect(await running).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    expect(order).toEqual(["first"]);
  });

  it("a caller that goes away ends the wait at once", async () => {
    const { guard, clock, order, running, controller } = await waiting();
    controller.abort();
    expect(await running).toMatchObject({
      status: "FAILED",
      failure: { code: "CLIENT_ABORTED" },
      record: { latencyMs: 1000 },
    });
    await clock.advanceAsync(20_000);
    expect(order).toEqual(["first"]);
    expect(guard.inFlight).toBe(0);
  });
});
