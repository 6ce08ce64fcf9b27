import { registerHooks } from "node:module";
import { context, metrics, trace, type Attributes } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { attributeNames, genAi, measureMetricPrefix, metricNames } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeProviderOptions,
  type SampleJob,
} from "@sluice/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { createGuard, staticFlags } from "../index.ts";

const spans = new InMemorySpanExporter();
const points = new InMemoryMetricExporter(AggregationTemporality.DELTA);
const meters = new MeterProvider({
  readers: [
    new PeriodicExportingMetricReader({ exporter: points, exportIntervalMillis: 3_600_000 }),
  ],
});

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(
    new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] }),
  );
  metrics.setGlobalMeterProvider(meters);
});

afterAll(async () => {
  await meters.shutdown();
  context.disable();
  trace.disable();
  metrics.disable();
});

beforeEach(async () => {
  await meters.forceFlush();
  points.reset();
  spans.reset();
});

interface Point {
  readonly name: string;
  readonly attributes: Attributes;
  /** Of a counter its value, of a histogram its sum. */
  readonly value: unknown;
}

/** What was measured since the test began. */
async function measured(): Promise<readonly Point[]> {
  await meters.forceFlush();
  return points
    .getMetrics()
    .flatMap((resource) => resource.scopeMetrics)
    .flatMap((scope) => scope.metrics)
    .flatMap((metric) =>
      metric.dataPoints.map((point) => ({
        name: metric.descriptor.name,
        attributes: point.attributes,
        value: typeof point.value === "number" ? point.value : point.value.sum,
      })),
    );
}

const measures = z.strictObject({ slotsMade: z.int(), cacheHit: z.boolean() });
const clock = new FakeClock();

function observedGuard(behaviour: FakeProviderOptions<SampleJob> = {}) {
  const provider = fakeProvider<SampleJob>({ name: "openai", model: "model-1", ...behaviour });
  const guard = createGuard({
    ...sampleFeature,
    openTelemetry: true,
    provider,
    measures,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    budget: { callsPerRun: 10, maxOutputTokens: 100 },
    sinks: [() => 0],
  });
  return { guard, provider };
}

const answering: FakeProviderOptions<SampleJob> = {
  onCall: (call) => {
    call.asked.measure({ slotsMade: 7, cacheHit: true });
    clock.advance(250);
    call.reply(valueReply(sampleAnswer, { inputTokens: 11, outputTokens: 22 }));
  },
};

describe("an attempt's span", () => {
  it("has the names of the GenAI conventions, the usage, and no content", async () => {
    const { guard } = observedGuard(answering);
    await guard.run({ prompt: "secret" }, { subject: "alice" });
    guard.close();
    const [span, ...others] = spans.getFinishedSpans();
    expect(others).toEqual([]);
    expect(span?.name).toBe("chat model-1");
    expect(span?.attributes).toEqual({
      [genAi.operationName]: "chat",
      [genAi.providerName]: "openai",
      [genAi.requestModel]: "model-1",
      [genAi.requestMaxTokens]: 100,
      [genAi.usageInputTokens]: 11,
      [genAi.usageOutputTokens]: 22,
      [attributeNames.feature]: "sample_ai",
    });
    expect(span?.events).toEqual([]);
  });

  it("has the failure code as its error", async () => {
    const { guard } = observedGuard({
      onCall: (call) => call.reply(errorReply("PROVIDER_QUOTA")),
    });
    await guard.run({ prompt: "p" }, { subject: "alice" });
    guard.close();
    expect(spans.getFinishedSpans()).toMatchObject([
      {
        attributes: { [genAi.errorType]: "PROVIDER_QUOTA" },
        status: { message: "PROVIDER_QUOTA" },
      },
    ]);
  });

  it("ends with the attempt, also of a provider that ignores the kill", async () => {
    const { guard } = observedGuard();
    const running = guard.run({ prompt: "p" }, { subject: "alice" });
    expect(spans.getFinishedSpans()).toEqual([]);
    guard.kill();
    await running;
    guard.close();
    expect(spans.getFinishedSpans()).toHaveLength(1);
  });

  it("is the parent of the spans inside the call, and the child of the request's", async () => {
    const tracer = trace.getTracer("test");
    const { guard } = observedGuard({
      onCall: (call) => {
        tracer.startSpan("http").end();
        call.reply(valueReply(sampleAnswer));
      },
    });
    await tracer.startActiveSpan("request", async (request) => {
      await guard.run({ prompt: "p" }, { subject: "alice" });
      request.end();
    });
    guard.close();
    const [http, attempt, request] = spans.getFinishedSpans();
    expect([http?.name, attempt?.name, request?.name]).toEqual(["http", "chat model-1", "request"]);
    expect(http?.parentSpanContext?.spanId).toBe(attempt?.spanContext().spanId);
    expect(attempt?.parentSpanContext?.spanId).toBe(request?.spanContext().spanId);
  });

  it("is not there for a request that makes no call", async () => {
    const { guard } = observedGuard();
    guard.kill();
    await guard.run({ prompt: "p" }, { subject: "alice" });
    guard.close();
    expect(spans.getFinishedSpans()).toEqual([]);
  });
});

describe("metrics", () => {
  it("of a request that succeeds have the names of the contract, with its measures", async () => {
    const { guard } = observedGuard(answering);
    await guard.run({ prompt: "p" }, { subject: "alice" });
    guard.flush();
    const feature = { [attributeNames.feature]: "sample_ai" };
    const outcome = {
      ...feature,
      [attributeNames.outcome]: "SUCCEEDED",
      [attributeNames.path]: "ai",
    };
    const call = {
      ...feature,
      [genAi.operationName]: "chat",
      [genAi.providerName]: "openai",
      [genAi.requestModel]: "model-1",
    };
    const seen = await measured();
    expect(seen).toHaveLength(8);
    expect(seen).toEqual(
      expect.arrayContaining([
        {
          name: metricNames.decisions,
          attributes: { ...feature, [attributeNames.effect]: "allow" },
          value: 1,
        },
        { name: metricNames.outcomes, attributes: outcome, value: 1 },
        { name: metricNames.duration, attributes: outcome, value: 0.25 },
        { name: genAi.durationMetric, attributes: call, value: 0.25 },
        {
          name: genAi.tokenUsageMetric,
          attributes: { ...call, [genAi.tokenType]: "input" },
          value: 11,
        },
        {
          name: genAi.tokenUsageMetric,
          attributes: { ...call, [genAi.tokenType]: "output" },
          value: 22,
        },
        { name: `${measureMetricPrefix}slotsMade`, attributes: feature, value: 7 },
        {
          name: `${measureMetricPrefix}cacheHit`,
          attributes: { ...feature, value: "true" },
          value: 1,
        },
      ]),
    );
    guard.close();
  });

  it("count diverted requests with gate and reason, closed features, and alerts", async () => {
    const { guard } = observedGuard();
    await guard.run({ prompt: "p" }, { subject: "" });
    guard.kill();
    await guard.run({ prompt: "p" }, { subject: "alice" });
    guard.flush();
    const feature = { [attributeNames.feature]: "sample_ai" };
    expect(await measured()).toEqual(
      expect.arrayContaining([
        {
          name: metricNames.decisions,
          attributes: {
            ...feature,
            [attributeNames.effect]: "divert",
            [attributeNames.gate]: "feature-flag",
            [attributeNames.reason]: "NOT_IN_ROLLOUT",
          },
          value: 1,
        },
        {
          name: metricNames.noops,
          attributes: { ...feature, [attributeNames.reason]: "KILLED" },
          value: 1,
        },
        {
          name: metricNames.alerts,
          attributes: { ...feature, [attributeNames.alertCode]: "KILLED_LOCALLY" },
          value: 1,
        },
      ]),
    );
    guard.close();
  });

  it("never bear a subject, a run or a decision's id", async () => {
    const { guard } = observedGuard(answering);
    const { decision } = await guard.run({ prompt: "p" }, { subject: "alice", run: "run-1" });
    guard.flush();
    const text = JSON.stringify(await measured());
    for (const name of ["alice", "run-1", decision.id]) expect(text).not.toContain(name);
    guard.close();
  });
});

function planted(): never {
  throw new Error("planted");
}

describe("I8 telemetry that fails", () => {
  it("I8 changes no outcome: a tracer, a context manager and a meter that throw", async () => {
    trace.disable();
    context.disable();
    metrics.disable();
    trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan: planted }) as never });
    metrics.setGlobalMeterProvider({ getMeter: planted });
    const { guard, provider } = observedGuard(answering);
    expect(await guard.run({ prompt: "p" }, { subject: "alice" })).toMatchObject({
      status: "SUCCEEDED",
    });
    guard.flush();
    expect(provider.calls).toHaveLength(1);
    guard.close();

    trace.disable();
    trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [] }));
    context.setGlobalContextManager({
      active: planted,
      with: planted,
      bind: planted,
      enable: planted,
      disable: () => context as never,
    });
    const second = observedGuard(answering);
    expect(await second.guard.run({ prompt: "p" }, { subject: "alice" })).toMatchObject({
      status: "SUCCEEDED",
    });
    expect(second.provider.calls).toHaveLength(1);
    second.guard.close();
  });

  it("because the API is not installed is as good as switched off", async () => {
    const hooks = registerHooks({
      resolve(specifier, resolving, next) {
        if (specifier === "@opentelemetry/api") throw new Error("planted: not installed");
        return next(specifier, resolving);
      },
    });
    try {
      const { guard } = observedGuard(answering);
      expect(await guard.run({ prompt: "p" }, { subject: "alice" })).toMatchObject({
        status: "SUCCEEDED",
      });
      guard.close();
    } finally {
      hooks.deregister();
    }
    expect(spans.getFinishedSpans()).toEqual([]);
  });

  it("is not even asked where it is switched off", async () => {
    const getTracer = vi.fn<() => never>();
    trace.disable();
    trace.setGlobalTracerProvider({ getTracer });
    const guard = createGuard({
      ...sampleFeature,
      openTelemetry: false,
      provider: fakeProvider<SampleJob>(answering),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [() => 0],
    });
    await guard.run({ prompt: "p" }, { subject: "alice" });
    guard.close();
    expect(getTracer).not.toHaveBeenCalled();
  });
});
