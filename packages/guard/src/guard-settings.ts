import {
  ConfigError,
  type AdmissionStore,
  assertFeatureName,
  assertMeasuresSchema,
  configuredNameSchema,
  describeValue,
  eventSchema,
  functionSchema,
  gateModes,
  indeterminatePolicies,
  maxAttemptMs,
  parseOptions,
  priceTableSchema,
  routeStrategies,
  type EventSink,
  type MeasuresSchema,
  type Provider,
} from "@sluice/contract";
import { z } from "zod";
import { breakerOptionsSchema } from "./stores/opossum-breaker.ts";
import { clockSchema } from "./system-clock.ts";
import { toolQueueOptionsSchema } from "./tools/tool-queue-options.ts";
import { assertTripwire, tripwireOptionsSchema } from "./tripwire.ts";

const having = (what: string, ...methods: readonly string[]) =>
  z.custom<object>(
    (value) =>
      typeof value === "object" &&
      value !== null &&
      methods.every((name) => typeof (value as Record<string, unknown>)[name] === "function"),
    { error: what },
  );

const setting = z
  .strictObject({
    mode: z.enum(gateModes).default("enforce"),
    onIndeterminate: z.enum(indeterminatePolicies).default("closed"),
  })
  .prefault({});

const cap = z.int().min(0).optional();
const limitMs = z.int().min(1).max(maxAttemptMs);

const ruleValue = z.union([z.string(), z.number(), z.boolean()]);
const rule = z.union([
  z.string().min(1),
  z
    .record(z.string(), z.union([ruleValue, z.array(ruleValue).min(1)]))
    .refine((conditions) => Object.keys(conditions).length > 0, {
      error: "at least one attribute: an empty rule would permit everybody",
    }),
]);

const eventKinds: readonly unknown[] = eventSchema.options.map(({ shape }) => shape.event.value);
const sinkSchema = functionSchema.refine(
  (sink) => {
    const { subscribesTo } = sink as Partial<EventSink>;
    if (subscribesTo === undefined) return true;
    return Array.isArray(subscribesTo) && subscribesTo.every((kind) => eventKinds.includes(kind));
  },
  { error: `a sink whose subscribesTo, if any, lists some of ${eventKinds.join(", ")}` },
);

/** The options' form: names, limits, defaults. */
export const guardOptionsSchema = z.strictObject({
  feature: z.string(),
  contract: z.custom<object>(
    (value) => typeof value === "object" && value !== null && "askable" in value,
    { error: "a contract made by defineContract" },
  ),
  failed: functionSchema,
  stub: functionSchema,
  provider: having("a provider", "generate").optional(),
  route: z
    .strictObject({
      providers: z.array(having("a provider", "generate")).min(1).max(64),
      candidates: z.union([z.array(z.unknown()), having("a route source", "read")]),
      environment: z.string().min(1).max(128).default("prod"),
      strategy: z.enum(routeStrategies).default("default"),
      failover: z.boolean().optional(),
    })
    .optional(),
  flags: having("a flag source", "read", "confirmedAt", "onChange"),
  onFailure: z.enum(["failed", "stub"]),
  measures: z
    .custom<MeasuresSchema>((value) => value instanceof z.ZodObject, {
      error: "a z.strictObject",
    })
    .optional(),
  measure: functionSchema.optional(),
  optIn: functionSchema.optional(),
  allowlist: z.array(rule).optional(),
  allowlistMode: z.enum(["require", "include"]).default("require"),
  budget: z
    .strictObject({
      callsPerRun: cap,
      tokensPerRun: cap,
      costNanoUsdPerRun: cap,
      maxOutputTokens: z.int().min(1),
      minOutputTokens: z.int().min(1).default(16),
      store: having("a budget store", "reserve", "use").optional(),
    })
    .optional(),
  prices: priceTableSchema.optional(),
  breaker: breakerOptionsSchema.prefault({}),
  admission: having("an admission store", "acquire", "describe").optional(),
  tripwire: tripwireOptionsSchema.optional(),
  gates: z
    .strictObject({
      "opt-in": setting,
      allowlist: setting,
      rollout: setting,
      budget: setting,
      "circuit-breaker": setting,
      admission: setting,
    })
    .prefault({}),
  timeoutMs: limitMs.default(30_000),
  firstContentTimeoutMs: limitMs.default(20_000),
  chunkTimeoutMs: limitMs.default(10_000),
  totalTimeoutMs: limitMs.default(60_000),
  retry: z
    .strictObject({
      maxRetries: z.int().min(0).max(10).default(1),
      baseMs: limitMs.default(200),
      maxBackoffMs: limitMs.default(5_000),
      maxRetryAfterMs: z.int().min(0).max(maxAttemptMs).default(5_000),
      budgetRatio: z.number().min(0).max(1).default(0.2),
    })
    .prefault({}),
  stream: z
    .strictObject({
      bufferBytes: z
        .int()
        .min(1)
        .max(16 * 1024 * 1024)
        .default(64 * 1024),
      stallMs: limitMs.default(30_000),
      reasoning: z.boolean().default(false),
    })
    .prefault({}),
  tools: z.record(z.string(), z.unknown()).optional(),
  maxToolSteps: z.int().min(1).max(100).default(5),
  toolQueue: toolQueueOptionsSchema.extend({ enforce: z.boolean().optional() }).prefault({}),
  maxStalenessMs: z.int().min(100).max(3_600_000).default(5_000),
  sinks: z.array(sinkSchema).default([]),
  metrics: functionSchema.optional(),
  openTelemetry: z.boolean().default(true),
  clock: clockSchema.optional(),
  newId: functionSchema.optional(),
  random: functionSchema.optional(),
});

/** Options with their defaults; what is not plain data keeps its own types from `GuardOptions`. */
export type GuardSettings = z.output<typeof guardOptionsSchema>;

/**
 * Checks options and fills in defaults.
 * @throws ConfigError: one line naming the option, what came and what was expected
 */
export function parseGuardOptions(options: unknown): GuardSettings {
  const where = "createGuard";
  const settings = parseOptions(where, guardOptionsSchema, options);
  assertFeatureName(`${where}.feature`, settings.feature);
  if (settings.measures !== undefined) {
    assertMeasuresSchema(`${where}.measures`, settings.measures);
  }
  assertProviders(settings);
  assertBudget(settings);
  assertTripwire(`${where}.tripwire`, settings.tripwire);
  return settings;
}

/** The upstreams, given as one or as a route's. */
function providersOf({ provider, route }: GuardSettings): readonly Provider<never>[] {
  const given = route?.providers ?? (provider === undefined ? [] : [provider]);
  return given as readonly Provider<never>[];
}

function assertProviders(settings: GuardSettings): void {
  const { provider, route } = settings;
  if ((provider === undefined) === (route === undefined)) {
    throw new ConfigError({
      option: "createGuard.provider",
      got: provider === undefined ? "nothing" : "a provider and a route",
      expected: "either a provider or a route",
    });
  }
  const names = new Set<string>();
  for (const [index, { name, model }] of providersOf(settings).entries()) {
    const option =
      route === undefined ? "createGuard.provider" : `createGuard.route.providers.${index}`;
    for (const [field, value] of Object.entries({ name, model })) {
      if (field === "model" && value === undefined) continue;
      if (configuredNameSchema.safeParse(value).success) continue;
      throw new ConfigError({
        option: `${option}.${field}`,
        got: describeValue(value),
        expected: "1 to 128 characters on one line",
      });
    }
    if (names.has(name)) {
      throw new ConfigError({
        option: `${option}.name`,
        got: `${describeValue(name)} twice`,
        expected: "a name of its own for each provider",
      });
    }
    names.add(name);
  }
}

function assertBudget(settings: GuardSettings): void {
  const { budget, prices, route } = settings;
  const admission = settings.admission as AdmissionStore | undefined;
  const isShared = admission?.countsBudgets === true;
  if (budget === undefined) {
    if (!isShared) return;
    throw new ConfigError({
      option: "createGuard.budget",
      got: "nothing",
      expected: "maxOutputTokens at least, because the admission store holds budgets",
    });
  }
  const { callsPerRun, tokensPerRun, costNanoUsdPerRun } = budget;
  const caps = [callsPerRun, tokensPerRun, costNanoUsdPerRun];
  if (!isShared && caps.every((value) => value === undefined)) {
    throw new ConfigError({
      option: "createGuard.budget",
      got: "no cap",
      expected: "callsPerRun, tokensPerRun or costNanoUsdPerRun",
    });
  }
  const capsCost =
    costNanoUsdPerRun !== undefined
      ? "budget.costNanoUsdPerRun is set"
      : admission?.countsCost === true
        ? "the admission store caps money"
        : undefined;
  if (route !== undefined && capsCost !== undefined && Object.keys(prices ?? {}).length === 0) {
    throw new ConfigError({
      option: "createGuard.prices",
      got: "none",
      expected: `one for each model of the route, because ${capsCost}`,
    });
  }
  const capsPrompt = isShared || tokensPerRun !== undefined || costNanoUsdPerRun !== undefined;
  for (const [index, provider] of providersOf(settings).entries()) {
    const option =
      route === undefined ? "createGuard.provider" : `createGuard.route.providers.${index}`;
    const { model } = provider;
    if (capsPrompt && typeof provider.inputTokens !== "function") {
      throw new ConfigError({
        option,
        got: "a provider without inputTokens",
        expected: "one with it, because the budget caps tokens or cost and must count the prompt",
      });
    }
    // The models of a route are its candidates', which may change; one without a price is passed over.
    if (route !== undefined || capsCost === undefined) continue;
    if (typeof model !== "string" || prices?.[model] === undefined) {
      throw new ConfigError({
        option: "createGuard.prices",
        got: `no price for the model ${describeValue(model)}`,
        expected: `one, because ${capsCost}`,
      });
    }
  }
}
