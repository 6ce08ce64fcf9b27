import type { ProviderConfig, RouteStrategy } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeProvider,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createGuard, envFlags, staticFlags } from "./index.ts";

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann" };

function providersOf(...names: readonly string[]): FakeProvider<SampleJob>[] {
  return names.map((name) =>
    fakeProvider<SampleJob>({ name, onCall: (call) => call.reply(valueReply(sampleAnswer)) }),
  );
}

function routed(
  rows: readonly ProviderConfig[],
  more: {
    readonly strategy?: RouteStrategy;
    readonly failover?: boolean;
    readonly providers?: readonly FakeProvider<SampleJob>[];
  } = {},
) {
  const providers = more.providers ?? providersOf("openai", "custom");
  let current = rows;
  const record = recordingSink();
  const guard = createGuard({
    ...sampleFeature,
    route: {
      providers,
      candidates: { name: "sql", read: () => current },
      strategy: more.strategy ?? "default",
      ...(more.failover === undefined ? {} : { failover: more.failover }),
    },
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock: new FakeClock(),
    retry: { maxRetries: 0 },
    sinks: [record.sink],
  });
  return {
    guard,
    record,
    set: (next: readonly unknown[]) => {
      current = next as readonly ProviderConfig[];
    },
    selected: async (provider?: string) => {
      const outcome = await guard.run(job, { ...request, provider });
      return outcome.record.selectedProvider ?? outcome.status;
    },
    alerts: () => {
      guard.flush();
      return record.of("alert").map(({ code, message }) => `${code} ${message}`);
    },
  };
}

const seed: readonly ProviderConfig[] = [
  { provider: "custom", environment: "prod" },
  {
    provider: "openai",
    environment: "prod",
    isDefault: true,
    model: "gpt-x",
    promptTemplateVersion: "v7",
  },
];

describe("a route", () => {
  it("calls the default, with its model and prompt version, and records why", async () => {
    const { guard } = routed(seed);
    const { record } = await guard.run(job, { ...request, requestId: "req-1" });
    expect(record).toMatchObject({
      requestId: "req-1",
      selectedProvider: "openai",
      routeStrategy: "default",
      promptTemplateVersion: "v7",
      fallbackUsed: false,
      attempts: [{ provider: "openai", model: "gpt-x" }],
    });
    expect(record).not.toHaveProperty("requestedProvider");
  });

  it("hands the model and the prompt version to the provider", async () => {
    const providers = providersOf("openai", "custom");
    const { guard } = routed(seed, { providers });
    await guard.run(job, request);
    expect(providers[0]?.last().asked).toMatchObject({
      model: "gpt-x",
      promptTemplateVersion: "v7",
    });
  });

  it("obeys the request's provider under the strategy requested only", async () => {
    expect(await routed(seed).selected("custom")).toBe("openai");
    const asked = routed(seed, { strategy: "requested" });
    expect(await asked.selected("custom")).toBe("custom");
    expect(await asked.selected()).toBe("openai");
    const { record } = await asked.guard.run(job, { ...request, provider: "nobody\n" });
    expect(record).toMatchObject({
      selectedProvider: "openai",
      skipped: [{ why: "not_configured" }],
    });
    expect(JSON.stringify(record)).not.toContain("nobody");
  });

  it("uses a request's id in records only where it is one", async () => {
    const { guard } = routed(seed);
    const { record, decision } = await guard.run(job, { ...request, requestId: "my secret\n" });
    expect(record.requestId).toBe(decision.id);
  });

  it("draws by weight, the same provider for the same subject", async () => {
    const { guard } = routed(
      [
        { provider: "openai", weight: 1 },
        { provider: "custom", weight: 1 },
      ],
      { strategy: "weighted" },
    );
    const of = async (subject: string) =>
      (await guard.run(job, { subject })).record.selectedProvider;
    const subjects = Array.from({ length: 40 }, (_, index) => `subject-${index}`);
    const first = await Promise.all(subjects.map(of));
    expect(await Promise.all(subjects.map(of))).toEqual(first);
    expect(new Set(first)).toEqual(new Set(["openai", "custom"]));
  });

  it("passes a disabled candidate over, and says so", async () => {
    const { guard } = routed([
      { provider: "openai", isDefault: true, enabled: false },
      { provider: "custom" },
    ]);
    expect((await guard.run(job, request)).record).toMatchObject({
      selectedProvider: "custom",
      skipped: [{ provider: "openai", why: "disabled" }],
    });
  });

  it("without an enabled candidate sends everybody to the safe path", async () => {
    const { guard } = routed([
      { provider: "openai", enabled: false },
      { provider: "custom", enabled: false },
    ]);
    expect(await guard.run(job, request)).toMatchObject({
      status: "STUBBED",
      reason: "CIRCUIT_OPEN",
    });
  });

  it("passes over who lacks a key, where another may stand in", async () => {
    const providers = [
      fakeProvider<SampleJob>({
        name: "openai",
        notReady: () => ({ variable: "OPENAI_API_KEY", expected: "an API key" }),
      }),
      ...providersOf("custom"),
    ];
    const { guard } = routed(seed, { providers, failover: true });
    expect((await guard.run(job, request)).record).toMatchObject({
      selectedProvider: "custom",
      skipped: [{ provider: "openai", why: "not_ready" }],
    });
  });
});

const failing = () => [
  fakeProvider<SampleJob>({
    name: "openai",
    onCall: (call) => call.reply(errorReply("PROVIDER_UNAVAILABLE")),
  }),
  ...providersOf("custom"),
];

describe("failover", () => {
  it("lets the next candidate stand in", async () => {
    const { guard } = routed(seed, { providers: failing(), failover: true });
    expect(await guard.run(job, request)).toMatchObject({
      status: "SUCCEEDED",
      record: {
        selectedProvider: "openai",
        fallbackProvider: "custom",
        fallbackUsed: true,
        attempts: [{ provider: "openai", code: "PROVIDER_UNAVAILABLE" }, { provider: "custom" }],
      },
    });
  });

  it("is off while the switch is off, and follows it live", async () => {
    const variables: Record<string, string> = { FEATURE_SAMPLE_AI: "true" };
    const guard = createGuard({
      ...sampleFeature,
      route: { providers: failing(), candidates: seed },
      flags: envFlags({ variables }),
      clock: new FakeClock(),
      retry: { maxRetries: 0 },
      sinks: [() => 0],
    });
    expect(await guard.run(job, request)).toMatchObject({ status: "FAILED" });
    variables["FF_PROVIDER_FAILOVER_ENABLED"] = "true";
    expect(await guard.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    variables["FF_PROVIDER_FAILOVER_ENABLED"] = "yes";
    expect(await guard.run(job, request)).toMatchObject({ status: "FAILED" });
  });

  it("never follows a model's refusal", async () => {
    const providers = [
      fakeProvider<SampleJob>({
        name: "openai",
        onCall: (call) => call.reply(errorReply("REFUSED")),
      }),
      ...providersOf("custom"),
    ];
    const { guard } = routed(seed, { providers, failover: true });
    expect(await guard.run(job, request)).toMatchObject({ failure: { code: "REFUSED" } });
    expect(providers[1]?.calls).toEqual([]);
  });
});

describe("a route that changes while it is used", () => {
  it("takes effect with the next request", async () => {
    const { selected, set } = routed(seed);
    expect(await selected()).toBe("openai");
    set([{ provider: "custom", isDefault: true }, { provider: "openai" }]);
    expect(await selected()).toBe("custom");
  });

  it("keeps the last good one where it is malformed, and says so once", async () => {
    const { selected, set, alerts } = routed(seed);
    const malformed = [{ provider: "custom", isDefault: true, timeoutMs: 0 }];
    set(malformed);
    expect(await selected()).toBe("openai");
    expect(await selected()).toBe("openai");
    expect(alerts()).toEqual([
      "ROUTE_MALFORMED the route from sql is malformed, the last good one stays, but for who is disabled: createGuard.route.candidates.0.timeoutMs: got 0, expected at least 1",
    ]);
  });

  it("I7 disables at once, whatever else is wrong with the change", async () => {
    const { selected, set } = routed(seed);
    set([
      { provider: "openai", enabled: false },
      { provider: "custom", weight: -1 },
    ]);
    expect(await selected()).toBe("custom");
    set([{ provider: "custom", enabled: false, weight: -1 }]);
    expect(await selected()).toBe("STUBBED");
  });

  it("I7 disables also where only those are left that are never drawn", async () => {
    const rows = [
      { provider: "openai", weight: 1 },
      { provider: "custom", weight: 0 },
    ];
    const weighted = routed(rows, { strategy: "weighted" });
    weighted.set([{ provider: "openai", weight: 1, enabled: false }, rows[1]]);
    expect(await weighted.selected()).toBe("STUBBED");
    const listed = routed(rows, { strategy: "failover" });
    listed.set([{ provider: "openai", weight: 1, enabled: false }, rows[1]]);
    expect(await listed.selected()).toBe("custom");
  });
});

describe("a route's source", () => {
  it("that throws leaves the last good route, told once, whatever gates there are", async () => {
    let broken = false;
    const record = recordingSink();
    const off = { mode: "off" } as const;
    const guard = createGuard({
      ...sampleFeature,
      route: {
        providers: providersOf("openai", "custom"),
        candidates: {
          name: "sql",
          read() {
            if (broken) throw new Error("planted");
            return seed;
          },
        },
      },
      gates: { "circuit-breaker": off },
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock: new FakeClock(),
      sinks: [record.sink],
    });
    for (const [round, isBroken] of [false, true, true, false, true].entries()) {
      broken = isBroken;
      expect(await guard.run(job, request)).toMatchObject({
        status: "SUCCEEDED",
        record: { selectedProvider: "openai" },
      });
      expect(guard.inFlight).toBe(0);
      guard.flush();
      // Again only once it has been well in between.
      expect(record.of("alert")).toHaveLength([0, 1, 1, 1, 2][round] ?? 0);
    }
    expect(record.of("alert")).toMatchObject(
      Array.from({ length: 2 }, () => ({
        code: "DEPENDENCY_THREW",
        message: "the route source sql threw; the last good route stays",
      })),
    );
  });

  it.each([undefined, null, 5, {}, "rows"])(
    "that reads %j leaves the last good route",
    async (rows) => {
      let current: unknown = seed;
      const guard = createGuard({
        ...sampleFeature,
        route: {
          providers: providersOf("openai", "custom"),
          candidates: { name: "sql", read: () => current as readonly ProviderConfig[] },
        },
        flags: staticFlags({ sample_ai: { enabled: true } }),
        clock: new FakeClock(),
        sinks: [() => 0],
      });
      current = rows;
      expect(await guard.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    },
  );
});

describe("what happens between two attempts", () => {
  it("I7 a candidate that is disabled meanwhile is not called again", async () => {
    const clock = new FakeClock();
    let rows: readonly ProviderConfig[] = [{ provider: "openai" }];
    const provider = fakeProvider<SampleJob>({
      name: "openai",
      onCall: (call) => call.reply(errorReply("PROVIDER_UNAVAILABLE")),
    });
    const guard = createGuard({
      ...sampleFeature,
      route: { providers: [provider], candidates: { name: "sql", read: () => rows } },
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      random: () => 1,
      retry: { maxRetries: 1, baseMs: 1000, budgetRatio: 1 },
      sinks: [() => 0],
    });
    const running = guard.run(job, request);
    await clock.advanceAsync(500);
    rows = [{ provider: "openai", enabled: false }];
    await clock.advanceAsync(1000);
    expect(await running).toMatchObject({
      failure: { code: "PROVIDER_UNAVAILABLE" },
      record: { skipped: [{ provider: "openai", why: "disabled" }] },
    });
    expect(provider.calls).toHaveLength(1);
    expect(guard.inFlight).toBe(0);
  });

  it("I7 nobody stands in once failover is switched off", async () => {
    const clock = new FakeClock();
    const variables: Record<string, string> = {
      FEATURE_SAMPLE_AI: "true",
      FF_PROVIDER_FAILOVER_ENABLED: "true",
    };
    const providers = [
      fakeProvider<SampleJob>({ name: "openai" }),
      fakeProvider<SampleJob>({ name: "custom" }),
    ];
    const guard = createGuard({
      ...sampleFeature,
      route: { providers, candidates: seed },
      flags: envFlags({ variables }),
      clock,
      retry: { maxRetries: 0 },
      sinks: [() => 0],
    });
    const running = guard.run(job, request);
    variables["FF_PROVIDER_FAILOVER_ENABLED"] = "false";
    providers[0]?.last().reply(errorReply("PROVIDER_UNAVAILABLE"));
    expect(await running).toMatchObject({ failure: { code: "PROVIDER_UNAVAILABLE" } });
    expect(providers[1]?.calls).toEqual([]);
    guard.close();
  });

  it("a malformed switch is told of once, and shown", async () => {
    const variables = { FEATURE_SAMPLE_AI: "true", FF_PROVIDER_FAILOVER_ENABLED: "yes" };
    const record = recordingSink();
    const guard = createGuard({
      ...sampleFeature,
      route: { providers: providersOf("openai", "custom"), candidates: seed },
      flags: envFlags({ variables }),
      clock: new FakeClock(),
      sinks: [record.sink],
    });
    await guard.run(job, request);
    await guard.run(job, request);
    guard.flush();
    expect(record.of("alert").map(({ code, variable }) => [code, variable])).toEqual([
      ["FLAG_MALFORMED", "FF_PROVIDER_FAILOVER_ENABLED"],
    ]);
    expect(guard.describe().flagProblems).toMatchObject([
      { variable: "FF_PROVIDER_FAILOVER_ENABLED", readAs: "false" },
    ]);
  });

  it("a 429 is waited for where the other candidate can't be called either", async () => {
    const clock = new FakeClock();
    const first = fakeProvider<SampleJob>({ name: "openai" });
    const second = fakeProvider<SampleJob>({
      name: "custom",
      notReady: () => ({ variable: "CUSTOM_API_KEY", expected: "an API key" }),
    });
    const guard = createGuard({
      ...sampleFeature,
      route: {
        providers: [first, second],
        candidates: [{ provider: "openai" }, { provider: "custom" }],
        failover: true,
      },
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      retry: { maxRetries: 1, budgetRatio: 1 },
      sinks: [() => 0],
    });
    const running = guard.run(job, request);
    first.last().reply(errorReply("PROVIDER_RATE_LIMITED", { retryAfterMs: 10 }));
    await clock.advanceAsync(500);
    first.last().reply(valueReply(sampleAnswer));
    expect(await running).toMatchObject({ status: "SUCCEEDED" });
    expect(first.calls).toHaveLength(2);
  });
});

describe("a route's options", () => {
  const start = (route: object) => () =>
    createGuard({
      ...sampleFeature,
      route: { providers: providersOf("openai", "custom"), candidates: seed, ...route },
      flags: staticFlags({}),
      sinks: [() => 0],
    });

  it.each([
    [
      { providers: providersOf("openai", "openai") },
      `createGuard.route.providers.1.name: got "openai" twice, expected a name of its own for each provider`,
    ],
    [
      { candidates: [seed[0], seed[0]] },
      `createGuard.route.candidates.1.provider: got "custom" twice in the environment "prod", expected one candidate for each provider`,
    ],
    [
      { strategy: "cheapest" },
      `createGuard.route.strategy: got "cheapest", expected one of "default", "weighted", "requested", "failover"`,
    ],
    [
      { candidates: [{ provider: "openai", timeoutMs: 600_001 }] },
      "createGuard.route.candidates.0.timeoutMs: got 600001, expected at most 600000",
    ],
  ])("say in one line what is wrong: %#", (route, line) => {
    expect(start(route)).toThrow(line);
  });

  it("are instead of a provider, not beside it", () => {
    expect(() =>
      createGuard({
        ...sampleFeature,
        provider: fakeProvider(),
        route: { providers: providersOf("openai"), candidates: [{ provider: "openai" }] },
        flags: staticFlags({}),
        sinks: [() => 0],
      }),
    ).toThrow(
      "createGuard.provider: got a provider and a route, expected either a provider or a route",
    );
  });
});
