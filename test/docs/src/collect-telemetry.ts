import { setTimeout as sleep } from "node:timers/promises";
import { metrics, trace } from "@opentelemetry/api";
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
import { createGuard, memoryAdmission, staticFlags } from "@sluice/guard";
import { fakeProvider, sampleAnswer, sampleFeature, valueReply } from "@sluice/testkit";
import type { SampleJob } from "@sluice/testkit";
import { z } from "zod";

/** Names of attributes by what bears them: a metric's name, or `span`. */
export type Emitted = ReadonlyMap<string, ReadonlySet<string>>;

/** Puts a guard through everything that can become of a request and listens to OpenTelemetry. */
export async function collectTelemetry(): Promise<Emitted> {
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: metricExporter });
  const spanExporter = new InMemorySpanExporter();
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  trace.setGlobalTracerProvider(
    new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spanExporter })] }),
  );
  await runEverything();
  await reader.forceFlush();

  const emitted = new Map<string, Set<string>>();
  const note = (bearer: string, attributes: object): void => {
    const names = emitted.get(bearer) ?? new Set();
    for (const name of Object.keys(attributes)) names.add(name);
    emitted.set(bearer, names);
  };
  for (const { attributes } of spanExporter.getFinishedSpans()) note("span", attributes);
  for (const { scopeMetrics } of metricExporter.getMetrics()) {
    for (const { descriptor, dataPoints } of scopeMetrics.flatMap((scope) => scope.metrics)) {
      for (const { attributes } of dataPoints) note(descriptor.name, attributes);
    }
  }
  return emitted;
}

async function runEverything(): Promise<void> {
  const flags = staticFlags({ sample_ai: { enabled: true } });
  const usage = { inputTokens: 3, outputTokens: 5 };
  const provider = fakeProvider<SampleJob>({
    model: "model-1",
    onCall: (call) => {
      const { prompt } = call.asked.input;
      if (prompt === "hang") return;
      call.reply(valueReply(prompt === "bad" ? {} : sampleAnswer, usage));
    },
  });
  const guard = createGuard({
    ...sampleFeature,
    openTelemetry: true,
    provider,
    flags,
    optIn: (job: SampleJob) => job.allowAI !== false,
    budget: { callsPerRun: 10, maxOutputTokens: 100 },
    admission: memoryAdmission({ userInFlight: { limit: 1 } }),
    measures: z.strictObject({ words: z.int(), short: z.boolean() }),
    measure: ({ words }) => ({ words, short: words < 3 }),
    sinks: [() => undefined],
  });
  const subject = "someone";
  await guard.run({ prompt: "good" }, { subject });
  await guard.run({ prompt: "bad" }, { subject });
  await guard.run({ prompt: "good", allowAI: false }, { subject });
  const hanging = guard.run({ prompt: "hang" }, { subject });
  await guard.run({ prompt: "good" }, { subject });
  guard.kill();
  await hanging;
  await guard.run({ prompt: "good" }, { subject });
  guard.close();
  // Events are delivered in a later turn.
  await sleep(0);
}
