import { inspect } from "node:util";
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
import type { AdmissionStore, Decision, FlagSource, GuardRequest } from "@sluice/contract";
import {
  FakeClock,
  fakeFlagSource,
  fakeProvider,
  sampleContract,
  sampleFeature,
  sampleStub,
  textReply,
  valueReply,
  type FakeCall,
  type SampleJob,
} from "@sluice/testkit";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import {
  createGuard,
  envFlags,
  memoryAdmission,
  memoryBudgets,
  staticFlags,
  type GuardOptions,
} from "./index.ts";

const sentinel = "SENTINEL-7f3a";

const spans = new InMemorySpanExporter();
const points = new InMemoryMetricExporter(AggregationTemporality.DELTA);
const meters = new MeterProvider({
  readers: [
    new PeriodicExportingMetricReader({ exporter: points, exportIntervalMillis: 3_600_000 }),
  ],
});
trace.setGlobalTracerProvider(
  new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] }),
);
metrics.setGlobalMeterProvider(meters);

afterAll(async () => {
  await meters.shutdown();
});

beforeEach(() => {
  spans.reset();
  points.reset();
  return () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  };
});

/** An error that quotes content wherever an error can. */
function quoting(): Error {
  const error = new Error(`it said: ${sentinel}`, { cause: { prompt: sentinel } });
  error.name = `Error${sentinel}`;
  return Object.assign(error, { prompt: sentinel, code: sentinel });
}

function throwing(): never {
  throw quoting();
}

type SampleOptions = GuardOptions<
  SampleJob,
  typeof sampleContract.ok,
  typeof sampleContract.failed,
  typeof sampleContract.stub,
  typeof measures
>;

const measures = z.strictObject({ slotsMade: z.int(), source: z.enum(["model", "cache"]) });

const job: SampleJob = { prompt: `my name is ${sentinel}`, allowAI: true };

const attributes = {
  [sentinel]: sentinel,
  board: sentinel,
  get kind(): string {
    return throwing();
  },
};

const request: GuardRequest = {
  subject: `subject ${sentinel}`,
  attributes,
  run: `run ${sentinel}`,
};

const answer = { status: "OK", text: sentinel, words: 1 };

const answered = (reply: Parameters<FakeCall<SampleJob>["reply"]>[0]) =>
  fakeProvider<SampleJob>({ onCall: (call) => call.reply(reply) });

const failing = (error: unknown) => fakeProvider<SampleJob>({ onCall: (call) => call.fail(error) });

const leaking: AdmissionStore = {
  ...memoryAdmission({}),
  acquire: () => ({
    admitted: true,
    lease: { release: throwing, renew: throwing },
    wouldRefuse: [],
  }),
};

const brokenFlags: FlagSource = {
  ...fakeFlagSource({ clock: new FakeClock() }),
  read: throwing,
  confirmedAt: throwing,
};

function staleFlags(trouble: () => string): FlagSource {
  const never = { monotonicMs: Number.NEGATIVE_INFINITY, wallMs: Number.NEGATIVE_INFINITY };
  return { ...fakeFlagSource({ clock: new FakeClock() }), confirmedAt: () => never, trouble };
}

const budget = { callsPerRun: 5, maxOutputTokens: 100 };

/** Where content may come from, and a guard that meets it there. */
const places: readonly (readonly [string, Partial<SampleOptions>])[] = [
  ["an answer that parses", { provider: answered(valueReply(answer)) }],
  ["an answer in text", { provider: answered(textReply(JSON.stringify(answer))) }],
  ["an answer that is no JSON", { provider: answered(textReply(`sorry ${sentinel}`)) }],
  [
    "an answer that does not parse",
    { provider: answered(valueReply({ ...answer, words: sentinel, [sentinel]: 1 })) },
  ],
  [
    "a malformed answer",
    { provider: answered({ ok: false, code: sentinel, dispatched: true } as never) },
  ],
  [
    "usage that is none",
    { provider: answered({ ...valueReply(answer), usage: sentinel } as never) },
  ],
  ["an error of the provider", { provider: failing(quoting()) }],
  ["a thrown text of the provider", { provider: failing(sentinel) }],
  [
    "an error of the provider at once",
    { provider: { name: "p", generate: throwing }, onFailure: "stub" },
  ],
  [
    "an error of the provider's token count",
    {
      provider: fakeProvider<SampleJob>({ inputTokens: throwing }),
      budget: { ...budget, tokensPerRun: 5000 },
    },
  ],
  [
    "an error of the provider's readiness",
    { provider: fakeProvider<SampleJob>({ notReady: throwing }) },
  ],
  [
    "a report of measures",
    {
      provider: fakeProvider<SampleJob>({
        onCall: (call) => {
          call.asked.measure({ slotsMade: 1, source: sentinel });
          call.asked.measure({ [sentinel]: 5 });
          call.asked.measure(sentinel as never);
          call.reply(valueReply(answer));
        },
      }),
    },
  ],
  ["an error of the measure option", { provider: answered(valueReply(answer)), measure: throwing }],
  ["an error of the stub", { allowlist: [], stub: throwing }],
  ["a rejection of the stub", { allowlist: [], stub: () => Promise.reject(quoting()) }],
  [
    "a stub's value that does not parse",
    { allowlist: [], stub: () => ({ status: sentinel, text: sentinel }) as never },
  ],
  ["a stub's value", { allowlist: [], stub: () => ({ ...sampleStub, text: sentinel }) }],
  ["an error of the opt-in", { optIn: throwing }],
  ["an attribute that throws", { allowlist: [{ kind: "practice" }] }],
  ["a subject that is not listed", { allowlist: [`other ${sentinel.slice(0, 3)}`] }],
  ["an error of the admission store", { admission: { ...leaking, acquire: throwing } }],
  [
    "a rejection of the admission store",
    { admission: { ...leaking, acquire: () => Promise.reject(quoting()) } },
  ],
  ["an error of a lease", { admission: leaking, provider: answered(valueReply(answer)) }],
  [
    "an error of the budget store",
    { budget: { ...budget, store: { ...memoryBudgets(), reserve: throwing } } },
  ],
  ["an error of the flag source", { flags: brokenFlags }],
  ["what troubles a stale flag source", { flags: staleFlags(() => `it said: ${sentinel}`) }],
  ["an error of a stale flag source", { flags: staleFlags(throwing) }],
  [
    "malformed flags",
    {
      flags: envFlags({
        variables: {
          FEATURE_SAMPLE_AI: sentinel,
          SAMPLE_AI_KILL: sentinel,
          SAMPLE_AI_ROLLOUT_PERCENT: sentinel,
          SAMPLE_AI_ALLOWLIST: sentinel,
        },
      }),
    },
  ],
  ["an observer that throws", { sinks: [throwing, () => Promise.reject(quoting())] }],
  [
    "a tripwire that trips",
    {
      provider: answered(textReply(sentinel)),
      tripwire: { scope: "run", schemaFailures: { max: 0 } },
    },
  ],
  [
    "a rejection",
    {
      admission: memoryAdmission({ messageRate: { count: 1, perMs: 60_000 } }),
      provider: answered(valueReply(answer)),
    },
  ],
  [
    "a contract that throws",
    {
      provider: answered(valueReply(answer)),
      contract: { ...sampleContract, ok: sampleContract.ok.refine(throwing) },
    },
  ],
];

/** Everything that leaves the guard but the outcome's own value. */
async function tracesOf(options: Partial<SampleOptions>): Promise<Record<string, string>> {
  const written: unknown[] = [];
  const note = (...values: readonly unknown[]): true => {
    written.push(...values);
    return true;
  };
  vi.spyOn(process, "emitWarning").mockImplementation((...values) => void note(...values));
  vi.spyOn(process.stdout, "write").mockImplementation(note);
  vi.spyOn(process.stderr, "write").mockImplementation(note);
  for (const method of ["log", "info", "warn", "error", "debug", "trace"] as const) {
    vi.spyOn(console, method).mockImplementation((...values) => void note(...values));
  }
  const events: unknown[] = [];
  const samples: unknown[] = [];
  const errors: unknown[] = [];
  const decisions: Decision[] = [];
  const records: unknown[] = [];
  const guard = createGuard<
    SampleJob,
    typeof sampleContract.ok,
    typeof sampleContract.failed,
    typeof sampleContract.stub,
    typeof measures
  >({
    ...sampleFeature,
    openTelemetry: true,
    provider: fakeProvider<SampleJob>(),
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock: new FakeClock(),
    measures,
    budget,
    timeoutMs: 1000,
    metrics: (sample) => samples.push(sample),
    ...options,
    // Without a sink of the application, alerts become warnings of the process: both are swept.
    ...(options.sinks === undefined
      ? {}
      : { sinks: [...options.sinks, (event) => events.push(event)] }),
  });
  const listening = createGuard<
    SampleJob,
    typeof sampleContract.ok,
    typeof sampleContract.failed,
    typeof sampleContract.stub,
    typeof measures
  >({
    ...sampleFeature,
    openTelemetry: true,
    provider: fakeProvider<SampleJob>(),
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock: new FakeClock(),
    measures,
    budget,
    metrics: (sample) => samples.push(sample),
    ...options,
    sinks: [(event) => events.push(event)],
  });
  for (const one of [guard, listening, listening]) {
    const controller = new AbortController();
    const decision = await one.decide(job, { ...request, signal: controller.signal });
    decisions.push(decision);
    const running = one.execute(decision);
    // A call that hangs is ended by its caller, with an error that quotes content.
    setImmediate(() => controller.abort(quoting()));
    const outcome = await running;
    records.push(outcome.record, "failure" in outcome ? outcome.failure : undefined);
    one.noteResponse(200, outcome);
    await one.execute(decision).catch((error: unknown) => errors.push(error));
  }
  for (const one of [guard, listening]) {
    one.kill();
    await one.run(job, request).catch((error: unknown) => errors.push(error));
    one.flush();
  }
  await meters.forceFlush();
  const traces = {
    events: inspect(events, { depth: 20 }),
    samples: inspect(samples, { depth: 20 }),
    spans: inspect(
      spans.getFinishedSpans().map(({ name, attributes: seen, status, events: noted }) => ({
        name,
        seen,
        status,
        noted,
      })),
      { depth: 20 },
    ),
    metrics: JSON.stringify(points.getMetrics().map((resource) => resource.scopeMetrics)),
    written: inspect(written, { depth: 20 }),
    errors: inspect(errors, { depth: 20, showHidden: true }),
    records: inspect(records, { depth: 20 }),
    describe: String(listening.describe()) + JSON.stringify(guard.describe()),
    decisions: inspect(decisions, { depth: 20, showHidden: true }),
    decisionsAsJson: JSON.stringify(decisions),
    guards: inspect([guard, listening], { depth: 20 }),
  };
  guard.close();
  listening.close();
  vi.restoreAllMocks();
  expect(events.length).toBeGreaterThan(0);
  return traces;
}

describe("I5 telemetry carries no content", () => {
  it.each(places)("I5 wherever content comes from: %s", async (_, options) => {
    const traces = await tracesOf(options);
    for (const [where, text] of Object.entries(traces)) {
      expect(text.includes(sentinel), `in ${where}: ${text.slice(0, 2000)}`).toBe(false);
    }
  });

  it.each(["true", "1", "span_only", "SPAN_AND_EVENT", "event_only"])(
    "I5 whatever OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says: %s",
    async (value) => {
      vi.stubEnv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", value);
      vi.stubEnv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental");
      const traces = await tracesOf({ provider: answered(valueReply(answer)) });
      expect(traces["spans"]).toContain("gen_ai.request");
      for (const [where, text] of Object.entries(traces)) {
        expect(text.includes(sentinel), where).toBe(false);
      }
    },
  );

  it("I5 the sweep finds a sentinel where one is planted", async () => {
    const planted: readonly (readonly [string, Partial<SampleOptions>])[] = [
      ["spans", { provider: { ...answered(valueReply(answer)), name: sentinel } }],
      ["metrics", { provider: { ...answered(valueReply(answer)), name: sentinel } }],
      ["samples", { provider: { ...answered(valueReply(answer)), name: sentinel } }],
      ["events", { provider: { ...answered(valueReply(answer)), name: sentinel } }],
      ["describe", { provider: { ...answered(valueReply(answer)), name: sentinel } }],
      ["written", { flags: { ...staticFlags({}), name: "f", read: () => brokenRead() } }],
    ];
    for (const [where, options] of planted) {
      expect((await tracesOf(options))[where]).toContain(sentinel);
    }
  });
});

/** Flags of a source that quotes a value in what it says of it. */
function brokenRead() {
  return {
    ...staticFlags({}).read("sample_ai"),
    problems: [{ variable: "V", expected: "true", readAs: sentinel }],
  };
}
