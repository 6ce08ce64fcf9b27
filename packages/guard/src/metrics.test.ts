import type { MetricSample, Provider } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeAdmissionStore,
  fakeFlagSource,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import {
  createGuard,
  defineTool,
  memoryAdmission,
  staticFlags,
  type AllowlistMode,
  type StaticFeature,
} from "./index.ts";

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann" };
const usage = { inputTokens: 7, outputTokens: 13 };

const answering = () =>
  fakeProvider<SampleJob>({
    name: "openai",
    model: "model-1",
    onCall: (call) => call.reply(valueReply(sampleAnswer, usage)),
  });
const failing = () =>
  fakeProvider<SampleJob>({
    name: "openai",
    onCall: (call) => call.reply(errorReply("PROVIDER_BAD_REQUEST")),
  });

function bench(
  more: {
    readonly flags?: StaticFeature;
    readonly provider?: Provider<SampleJob>;
    readonly onFailure?: "failed" | "stub";
    readonly allowlist?: readonly string[];
    readonly allowlistMode?: AllowlistMode;
    readonly admission?: ReturnType<typeof memoryAdmission>;
    readonly gates?: { readonly admission: { readonly onIndeterminate: "open" } };
    readonly breaker?: { readonly minCalls: number; readonly openMs: number };
    readonly clock?: FakeClock;
  } = {},
) {
  const samples: MetricSample[] = [];
  const flags = staticFlags({ sample_ai: { enabled: true, ...more.flags } });
  const guard = createGuard({
    ...sampleFeature,
    provider: answering(),
    clock: new FakeClock(),
    prices: { "model-1": { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 2 } },
    measures: z.strictObject({ words: z.int() }),
    measure: ({ words }) => ({ words }),
    sinks: [() => undefined],
    ...more,
    flags,
    metrics: (sample) => samples.push(sample),
  });
  const seen = (): readonly MetricSample[] => {
    guard.flush();
    return samples;
  };
  return { guard, flags, seen };
}

describe("the sample of an outcome", () => {
  it("that succeeded belongs to the arm ai, with its figures", async () => {
    const { guard, seen } = bench({ admission: memoryAdmission({ globalInFlight: { limit: 5 } }) });
    await guard.run(job, request);
    expect(seen()).toEqual([
      {
        kind: "outcome",
        feature: "sample_ai",
        arm: "ai",
        provider: "openai",
        outcome: "SUCCEEDED",
        fallbackUsed: false,
        latencyMs: 0,
        admission: [{ verdict: "allow" }],
        queueMs: [],
        inputTokens: 7,
        outputTokens: 13,
        costNanoUsd: 33,
        measures: { words: 2 },
      },
    ]);
  });

  it("that was diverted belongs to the arm stub, without a provider", async () => {
    const { guard, seen } = bench({ allowlist: ["somebody else"] });
    await guard.run(job, request);
    expect(seen()).toEqual([
      {
        kind: "outcome",
        feature: "sample_ai",
        arm: "stub",
        outcome: "STUBBED",
        reason: "NOT_ALLOWLISTED",
        fallbackUsed: false,
        latencyMs: 0,
        admission: [],
        queueMs: [],
        measures: {},
      },
    ]);
  });

  it.each(["failed", "stub"] as const)(
    "that failed belongs to the arm ai, also where the policy %s answered",
    async (onFailure) => {
      const { guard, seen } = bench({ provider: failing(), onFailure });
      expect(await guard.run(job, request)).toMatchObject({
        status: "FAILED",
        path: onFailure === "stub" ? "stub" : "ai",
      });
      expect(seen()).toMatchObject([
        {
          arm: "ai",
          provider: "openai",
          outcome: "FAILED",
          code: "PROVIDER_BAD_REQUEST",
          fallbackUsed: onFailure === "stub",
        },
      ]);
    },
  );

  it("that was killed in flight belongs to the arm ai, though the safe path answered", async () => {
    const provider = fakeProvider<SampleJob>({ name: "openai", onCall: () => guard.kill() });
    const { guard, seen } = bench({ provider });
    expect(await guard.run(job, request)).toMatchObject({ status: "STUBBED", path: "stub" });
    expect(seen()).toMatchObject([
      { arm: "ai", provider: "openai", outcome: "STUBBED", reason: "KILLED", fallbackUsed: true },
    ]);
  });

  it("that was rejected belongs to no arm, with admission's word", async () => {
    const clock = new FakeClock();
    const admission = memoryAdmission({ messageRate: { count: 1, perMs: 1000 }, clock });
    const { guard, seen } = bench({ admission, clock });
    await guard.run(job, request);
    await guard.run(job, request);
    expect(seen()[1]).toMatchObject({
      arm: "none",
      outcome: "REJECTED",
      reason: "MESSAGE_RATE",
      admission: [{ verdict: "reject", reason: "MESSAGE_RATE" }],
    });
  });

  it("tells what admission would have refused, and that it could not tell", async () => {
    const clock = new FakeClock();
    const shadow = bench({
      admission: memoryAdmission({
        messageRate: { count: 1, perMs: 1000, mode: "shadow" },
        clock,
      }),
      clock,
    });
    await shadow.guard.run(job, request);
    await shadow.guard.run(job, request);
    expect(shadow.seen()[1]).toMatchObject({
      arm: "ai",
      admission: [{ verdict: "would_reject", reason: "MESSAGE_RATE" }, { verdict: "allow" }],
    });
    const unavailable = bench({
      admission: fakeAdmissionStore({ limit: 1, onAcquire: (asked) => asked.unavailable() }),
      gates: { admission: { onIndeterminate: "open" } },
    });
    await unavailable.guard.run(job, request);
    expect(unavailable.seen()).toMatchObject([
      { arm: "ai", admission: [{ verdict: "indeterminate", reason: "STORE_UNAVAILABLE" }] },
    ]);
  });

  it("tells how long each tool call waited", async () => {
    const samples: MetricSample[] = [];
    const provider = fakeProvider<SampleJob>({
      onCall: (call) =>
        call.reply(
          provider.calls.length === 1
            ? {
                ok: true,
                output: { kind: "text", text: "" },
                usage,
                toolCalls: [
                  { id: "1", name: "search", arguments: "{}" },
                  { id: "2", name: "search", arguments: "{}" },
                ],
              }
            : valueReply(sampleAnswer, usage),
        ),
    });
    const guard = createGuard({
      ...sampleFeature,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      tools: {
        search: defineTool({ description: "d", input: z.object({}), run: () => "found" }),
      },
      sinks: [() => undefined],
      metrics: (sample) => samples.push(sample),
    });
    await guard.run(job, request);
    guard.flush();
    expect(samples).toMatchObject([
      { kind: "outcome", queueMs: [expect.any(Number), expect.any(Number)] },
    ]);
    guard.close();
  });

  it("is there of a call that was handed over, and of one that was barred", () => {
    const { guard, seen } = bench();
    const decided = guard.decide(job, request);
    if (decided instanceof Promise) throw new TypeError("the stores are local");
    const handed = guard.handOver(decided);
    if ("barred" in handed) throw new TypeError("barred");
    handed.end({ ok: true, usage });
    const barred = bench({ allowlist: [] });
    const diverted = barred.guard.decide(job, request);
    if (diverted instanceof Promise) throw new TypeError("the stores are local");
    barred.guard.handOver(diverted);
    expect(seen()).toMatchObject([{ arm: "ai", outcome: "SUCCEEDED", inputTokens: 7 }]);
    expect(barred.seen()).toMatchObject([{ arm: "stub", outcome: "STUBBED" }]);
  });

  it("is there of a feature whose flags are stale: it is not closed", async () => {
    const clock = new FakeClock();
    const samples: MetricSample[] = [];
    const guard = createGuard({
      ...sampleFeature,
      provider: answering(),
      flags: fakeFlagSource({ clock }),
      clock,
      sinks: [() => undefined],
      metrics: (sample) => samples.push(sample),
    });
    clock.advance(5001);
    await guard.run(job, request);
    guard.flush();
    expect(samples).toMatchObject([{ arm: "stub", reason: "FLAGS_STALE" }]);
    guard.close();
  });
});

describe("a feature that is closed", () => {
  it.each<[string, StaticFeature]>([
    ["disabled", { enabled: false }],
    ["killed", { killed: true }],
    ["at 0 %", { percent: 0 }],
  ])("since it is %s gives no sample", async (_, closed) => {
    const { guard, seen } = bench({ flags: closed });
    const outcome = await guard.run(job, request);
    guard.noteResponse(200, outcome);
    guard.noteResponse(401);
    guard.noteResponse(200, "legacy");
    expect(seen()).toEqual([]);
  });
});

describe("the sample of a response", () => {
  it("has the arm and the provider of its outcome", async () => {
    const { guard, seen } = bench();
    guard.noteResponse(200, await guard.run(job, request));
    expect(seen()[1]).toEqual({
      kind: "response",
      feature: "sample_ai",
      arm: "ai",
      provider: "openai",
      status: 200,
    });
  });

  it("is the legacy handler's where that answered and nobody decided", () => {
    const { guard, seen } = bench();
    guard.noteResponse(200, "legacy", 7);
    expect(seen()).toEqual([
      { kind: "response", feature: "sample_ai", arm: "legacy", status: 200, firstByteMs: 7 },
    ]);
  });

  it("has no arm where nobody decided", () => {
    const { guard, seen } = bench();
    guard.noteResponse(401);
    expect(seen()).toEqual([{ kind: "response", feature: "sample_ai", arm: "none", status: 401 }]);
  });

  it("counts for the arm of its decision, whatever became of the feature since", async () => {
    const { guard, flags, seen } = bench();
    const outcome = await guard.run(job, request);
    flags.set("sample_ai", { enabled: false });
    guard.noteResponse(200, outcome);
    const late = await guard.run(job, request);
    flags.set("sample_ai", { enabled: true });
    guard.noteResponse(200, late);
    expect(seen().filter(({ kind }) => kind === "response")).toMatchObject([{ arm: "ai" }]);
  });

  it.each([
    [12.5, 12.5],
    [0, 0],
    [-1, undefined],
    [Number.NaN, undefined],
    [undefined, undefined],
  ])("says after how long its status was sent: %s", (given, firstByteMs) => {
    const { guard, seen } = bench();
    guard.noteResponse(200, undefined, given);
    expect(seen()).toEqual([
      {
        kind: "response",
        feature: "sample_ai",
        arm: "none",
        status: 200,
        ...(firstByteMs === undefined ? {} : { firstByteMs }),
      },
    ]);
  });

  it.each([0, 99, 600, 200.5, Number.NaN])("is none for the status %d", (status) => {
    const { guard, seen } = bench();
    guard.noteResponse(status);
    expect(seen()).toEqual([]);
  });
});

describe("the sample of a circuit", () => {
  it("says that it opened, and once it has closed that it did", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
    try {
      let good = false;
      const provider = fakeProvider<SampleJob>({
        name: "openai",
        model: "model-1",
        onCall: (call) =>
          call.reply(good ? valueReply(sampleAnswer) : errorReply("PROVIDER_UNAVAILABLE")),
      });
      const { guard, seen } = bench({ provider, breaker: { minCalls: 1, openMs: 1000 } });
      const circuits = () => seen().filter(({ kind }) => kind === "circuit");
      await guard.run(job, request);
      const opened = { kind: "circuit", feature: "sample_ai", provider: "openai", isOpen: true };
      expect(circuits()).toEqual([opened]);
      // Half-open, and open again: for who counts it never closed.
      vi.advanceTimersByTime(1000);
      await guard.run(job, request);
      expect(guard.describe().providers[0]?.breaker).toBe("open");
      expect(circuits()).toEqual([opened]);
      vi.advanceTimersByTime(1000);
      good = true;
      for (let i = 0; i < 3; i += 1) await guard.run(job, request);
      expect(guard.describe().providers[0]?.breaker).toBe("closed");
      expect(circuits()).toEqual([opened, { ...opened, isOpen: false }]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("a sink of metrics", () => {
  it("is handed samples after the turn in which they were made", async () => {
    const samples: MetricSample[] = [];
    const guard = createGuard({
      ...sampleFeature,
      provider: answering(),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [() => undefined],
      metrics: (sample) => samples.push(sample),
    });
    guard.noteResponse(401);
    expect(samples).toEqual([]);
    await setImmediate();
    expect(samples).toHaveLength(1);
    guard.close();
  });

  it("is not there, and the guard says so", async () => {
    const guard = createGuard({
      ...sampleFeature,
      provider: answering(),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [() => undefined],
    });
    guard.noteResponse(200, await guard.run(job, request));
    expect(guard.metered).toBe(false);
    expect(bench().guard.metered).toBe(true);
    guard.close();
  });

  it("needs no other sink", async () => {
    const samples: MetricSample[] = [];
    const guard = createGuard({
      ...sampleFeature,
      provider: answering(),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      metrics: (sample) => samples.push(sample),
    });
    await guard.run(job, request);
    guard.flush();
    expect(samples).toHaveLength(1);
    guard.close();
  });

  it("I12 is spared the oldest samples, counted, where 10,000 wait", () => {
    const { guard, seen } = bench();
    for (let i = 0; i < 10_005; i += 1) guard.noteResponse(200 + (i % 300));
    expect(guard.describe().eventsDropped).toBe(5);
    expect(seen()).toHaveLength(10_000);
    expect(seen()[0]).toMatchObject({ status: 205 });
  });

  const { promise: never } = Promise.withResolvers<void>();
  it.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("defect");
      },
    ],
    ["rejects", () => Promise.reject(new Error("defect"))],
    ["never settles", () => never],
  ])("I8 that %s changes no outcome and silences no other", async (_, metrics) => {
    const record = recordingSink();
    const guard = createGuard({
      ...sampleFeature,
      provider: answering(),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [record.sink],
      metrics,
    });
    const outcome = await guard.run(job, request);
    expect(outcome).toMatchObject({ status: "SUCCEEDED", value: sampleAnswer });
    guard.noteResponse(200, outcome);
    await setImmediate();
    expect(record.events.map(({ event }) => event)).toEqual(["decision", "outcome"]);
    guard.close();
  });

  it("is what options say it is", () => {
    expect(() =>
      createGuard({
        ...sampleFeature,
        provider: answering(),
        flags: staticFlags({}),
        metrics: "sql" as never,
      }),
    ).toThrow('createGuard.metrics: got "sql", expected a function');
  });
});
