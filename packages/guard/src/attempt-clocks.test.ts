import { defineContract, type ProviderEvent } from "@sluice/contract";
import {
  delta,
  errorReply,
  FakeClock,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  textReply,
  valueReply,
  type FakeCall,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createGuard, defineTool, staticFlags, type RetryOptions, type Tool } from "./index.ts";

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann" };
const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), text: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), text: z.string() }),
  text: { field: "text", maxChars: 1000 },
});

const { promise: never } = Promise.withResolvers<never>();

interface Limits {
  readonly timeoutMs?: number;
  readonly firstContentTimeoutMs?: number;
  readonly chunkTimeoutMs?: number;
  readonly totalTimeoutMs?: number;
}

function bench(
  limits: Limits,
  more: {
    readonly names?: readonly string[];
    readonly onCall?: (call: FakeCall<SampleJob>) => void;
    readonly retry?: RetryOptions;
    readonly candidateTimeoutMs?: number;
    readonly tools?: Readonly<Record<string, Tool>>;
  } = {},
) {
  const clock = new FakeClock();
  const { names = ["only"], onCall, retry, tools, candidateTimeoutMs: timeoutMs } = more;
  const calls: {
    readonly name: string;
    readonly atMs: number;
    readonly call: FakeCall<SampleJob>;
  }[] = [];
  const providers = names.map((name) =>
    fakeProvider<SampleJob>({
      name,
      streams: true,
      onCall(call) {
        calls.push({ name, atMs: clock.monotonicMs(), call });
        onCall?.(call);
      },
    }),
  );
  const guard = createGuard({
    ...sampleFeature,
    contract,
    route: {
      providers,
      candidates: names.map((name) => ({
        provider: name,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      })),
      strategy: "failover",
      failover: true,
    },
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    ...(tools === undefined ? {} : { tools }),
    breaker: { minCalls: 1000 },
    retry: { budgetRatio: 1, ...retry },
    random: () => 1,
    sinks: [() => 0],
    ...limits,
  });
  return { guard, clock, calls };
}

describe("the clock of one attempt", () => {
  it("covers the answer's body, for a whole answer and for a stream that is alive", async () => {
    const { guard, clock, calls } = bench({ timeoutMs: 1000 }, { retry: { maxRetries: 0 } });
    const whole = guard.run(job, request);
    const stream = guard.stream(job, request);
    await clock.advanceAsync(0);
    for (let at = 0; at < 950; at += 50) {
      calls[1]?.call.emit(delta("."));
      await clock.advanceAsync(50);
    }
    expect(calls.map(({ call }) => call.asked.signal.aborted)).toEqual([false, false]);
    await clock.advanceAsync(50);
    expect(calls.map(({ call }) => call.asked.signal.aborted)).toEqual([true, true]);
    expect(await whole).toMatchObject({ failure: { code: "PROVIDER_TIMEOUT" } });
    expect(await stream.outcome).toMatchObject({
      failure: { code: "PROVIDER_TIMEOUT" },
      record: { latencyMs: 1000, firstContentMs: 0 },
    });
  });

  it("begins anew with each attempt, and a timeout lets the next candidate stand in at once", async () => {
    const { guard, clock, calls } = bench(
      { timeoutMs: 1000 },
      { names: ["first", "second"], retry: { maxRetries: 1, baseMs: 200 } },
    );
    const running = guard.run(job, request);
    await clock.advanceAsync(1300);
    expect(calls.map(({ name, atMs }) => [name, atMs])).toEqual([
      ["first", 0],
      ["second", 1000],
    ]);
    calls.at(-1)?.call.reply(textReply("late, and in time"));
    expect(await running).toMatchObject({
      status: "SUCCEEDED",
      record: {
        attempts: [{ code: "PROVIDER_TIMEOUT", latencyMs: 1000 }, { latencyMs: 300 }],
      },
    });
  });

  it("is the candidate's own where the route sets one", async () => {
    const { guard, clock } = bench(
      { timeoutMs: 1000 },
      { candidateTimeoutMs: 300, retry: { maxRetries: 0 } },
    );
    const running = guard.run(job, request);
    await clock.advanceAsync(300);
    expect(await running).toMatchObject({ record: { latencyMs: 300 } });
  });
});

describe("the clock of the whole request", () => {
  it.each([700, 1000, 1999, 2000, 2600, 60_000])(
    "is never exceeded over attempts and waits: %d ms",
    async (totalTimeoutMs) => {
      const { guard, clock, calls } = bench(
        { timeoutMs: 500, totalTimeoutMs },
        { names: ["first", "second"], retry: { maxRetries: 3, baseMs: 200 } },
      );
      const running = guard.run(job, request);
      await clock.advanceAsync(totalTimeoutMs);
      const outcome = await running;
      expect(outcome).toMatchObject({ failure: { code: "PROVIDER_TIMEOUT" } });
      expect(outcome.record.latencyMs).toBeLessThanOrEqual(totalTimeoutMs);
      expect(guard.inFlight).toBe(0);
      const made = calls.length;
      await clock.advanceAsync(60_000);
      expect(calls).toHaveLength(made);
    },
  );

  it("leaves a wait aside that would not end in time, and asks another instead", async () => {
    const { guard, calls } = bench(
      { totalTimeoutMs: 1000 },
      {
        names: ["first", "second"],
        onCall: (call) =>
          call.reply(
            calls.length === 1
              ? errorReply("PROVIDER_UNAVAILABLE", { retryAfterMs: 1000 })
              : textReply("from the second"),
          ),
      },
    );
    expect(await guard.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    expect(calls.map(({ name, atMs }) => [name, atMs])).toEqual([
      ["first", 0],
      ["second", 0],
    ]);
  });

  it("cuts the last attempt short", async () => {
    const { guard, clock, calls } = bench(
      { timeoutMs: 1000, totalTimeoutMs: 1500 },
      { names: ["first", "second"], retry: { maxRetries: 0 } },
    );
    const running = guard.run(job, request);
    await clock.advanceAsync(1500);
    expect(await running).toMatchObject({
      record: { latencyMs: 1500, attempts: [{ latencyMs: 1000 }, { latencyMs: 500 }] },
    });
    expect(calls).toHaveLength(2);
  });

  it("covers tools and the turns after them", async () => {
    const slow = defineTool({
      description: "Takes its time.",
      input: z.object({}),
      run: () => never,
    });
    const { guard, clock } = bench(
      { totalTimeoutMs: 3000 },
      {
        tools: { slow },
        onCall: (call) =>
          call.reply({
            ok: true,
            output: { kind: "text", text: "" },
            toolCalls: [{ id: "1", name: "slow", arguments: "{}" }],
          }),
      },
    );
    const running = guard.run(job, request);
    await clock.advanceAsync(3000);
    expect(await running).toMatchObject({
      failure: { code: "PROVIDER_TIMEOUT" },
      record: { latencyMs: 3000, tools: [{ tool: "slow", code: "STOPPED" }] },
    });
  });
});

const usage: ProviderEvent = { type: "usage", usage: { inputTokens: 1, outputTokens: 1 } };

describe("the clock of the first content", () => {
  it.each<[string, readonly ProviderEvent[]]>([
    ["nothing", []],
    ["signs of life alone", [{ type: "progress" }, usage]],
    ["empty content alone", [delta("")]],
  ])("runs out on %s, and the next candidate stands in unseen", async (_, events) => {
    const { guard, clock, calls } = bench(
      { firstContentTimeoutMs: 500 },
      { names: ["first", "second"], retry: { maxRetries: 0 } },
    );
    const stream = guard.stream(job, request);
    for (let at = 0; at < 500; at += 100) {
      await clock.advanceAsync(at === 0 ? 0 : 100);
      calls[0]?.call.emit(...events);
    }
    expect(calls).toHaveLength(1);
    await clock.advanceAsync(100);
    calls[1]?.call.emit(delta("second"), { type: "finish" });
    await clock.advanceAsync(0);
    expect(await stream.outcome).toMatchObject({
      status: "SUCCEEDED",
      record: { fallbackProvider: "second", attempts: [{ code: "PROVIDER_TIMEOUT" }, {}] },
    });
  });

  it("is still for an answer that comes whole", async () => {
    const { guard, clock, calls } = bench({ firstContentTimeoutMs: 500 });
    const running = guard.run(job, request);
    await clock.advanceAsync(5000);
    calls[0]?.call.reply(textReply("whole"));
    expect(await running).toMatchObject({ status: "SUCCEEDED" });
  });
});

describe("the clock between two pieces", () => {
  it("begins anew with each sign of life", async () => {
    const { guard, clock, calls } = bench({ chunkTimeoutMs: 500 });
    const stream = guard.stream(job, request);
    await clock.advanceAsync(0);
    for (const event of [delta("a"), { type: "progress" }, usage, delta(""), delta("b")] as const) {
      calls[0]?.call.emit(event);
      await clock.advanceAsync(480);
    }
    expect(calls[0]?.call.asked.signal.aborted).toBe(false);
    await clock.advanceAsync(60);
    expect(await stream.outcome).toMatchObject({ failure: { code: "STREAM_STALLED" } });
    expect(calls).toHaveLength(1);
  });

  it("gives way to the reader's own while the reader is what is slow", async () => {
    const { guard, clock, calls } = bench({ chunkTimeoutMs: 500 });
    const stream = guard.stream(job, request);
    await clock.advanceAsync(0);
    calls[0]?.call.emit(delta("x".repeat(900)), { type: "finish" });
    await clock.advanceAsync(2000);
    expect(await stream.outcome).toMatchObject({ status: "SUCCEEDED" });
  });
});

describe("an answer that is complete", () => {
  it("waits for no reader: it settles though nobody reads and the buffer is full", async () => {
    const clock = new FakeClock();
    const answers = [
      // Can't stream; and streams what its contract holds back to the end.
      fakeProvider<SampleJob>({ onCall: (call) => call.reply(textReply("x".repeat(900))) }),
      fakeProvider<SampleJob>({
        streams: true,
        onCall: (call) => call.emit(delta("secre"), { type: "finish" }),
      }),
    ];
    for (const provider of answers) {
      const guard = createGuard({
        ...sampleFeature,
        contract: defineContract({
          ok: contract.ok,
          failed: contract.failed,
          stub: contract.stub,
          text: { field: "text", maxChars: 1000, forbidden: ["secret"] },
        }),
        provider,
        flags: staticFlags({ sample_ai: { enabled: true } }),
        clock,
        stream: { bufferBytes: 1 },
        sinks: [() => 0],
      });
      const stream = guard.stream(job, request);
      await clock.advanceAsync(0);
      expect(guard.inFlight).toBe(0);
      expect(await stream.outcome).toMatchObject({ status: "SUCCEEDED" });
    }
  });

  it("of a structured contract does too", async () => {
    const clock = new FakeClock();
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sampleAnswer)) }),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      stream: { bufferBytes: 1 },
      sinks: [() => 0],
    });
    expect(await guard.stream(job, request).outcome).toMatchObject({ status: "SUCCEEDED" });
  });
});
