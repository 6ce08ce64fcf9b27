import {
  ConfigError,
  assertFeatureName,
  assertMeasuresSchema,
  describeValue,
  functionSchema,
  gateModes,
  indeterminatePolicies,
  maxAttemptMs,
  parseOptions,
  priceTableSchema,
  routeStrategies,
  type AdmissionStore,
  type BudgetStore,
  type Clock,
  type ConfigurableGateName,
  type Contract,
  type EventSink,
  type Failure,
  type FlagSource,
  type GateMode,
  type MeasuresReport,
  type MeasuresSchema,
  type NewId,
  type OnIndeterminate,
  type PriceTable,
  type Provider,
  type ProviderConfig,
  type RouteSource,
  type RouteStrategy,
} from "@sluice/contract";
import type { AllowlistRule } from "@sluice/policy";
import { z } from "zod";
import type { AllowlistMode } from "./gates/allowlist.ts";
import type { StubContext } from "./safe-path.ts";
import { breakerOptionsSchema, type BreakerOptions } from "./stores/opossum-breaker.ts";
import { clockSchema } from "./system-clock.ts";
import type { Tool } from "./tools/define-tools.ts";
import { toolQueueOptionsSchema, type ToolQueueOptions } from "./tools/tool-queue-options.ts";
import { assertTripwire, tripwireOptionsSchema, type TripwireOptions } from "./tripwire.ts";

/** Caps of one run. At least one of the three; each call reserves its worst case before it starts. */
export interface BudgetOptions {
  readonly callsPerRun?: number;
  /** Input and output tokens together. */
  readonly tokensPerRun?: number;
  /** Integer nano-dollars; needs a price for the provider's model. */
  readonly costNanoUsdPerRun?: number;
  /** The most output tokens of one call; less where less is left. */
  readonly maxOutputTokens: number;
  /** The least output that is still worth a call; below it the call is not made. Default 16. */
  readonly minOutputTokens?: number;
  /** Default: this process's memory. One store handed to two guards makes them share runs. */
  readonly store?: BudgetStore;
}

/** Several providers for one feature, and how one is chosen. */
export interface RouteOptions<In> {
  /** The upstreams that candidates name. */
  readonly providers: readonly Provider<In>[];
  /** Who may be called, with which settings; a source is read live. */
  readonly candidates: readonly ProviderConfig[] | RouteSource;
  /** Candidates of other environments are left aside. Default `prod`. */
  readonly environment?: string;
  /** Default `default`. */
  readonly strategy?: RouteStrategy;
  /** Whether another candidate may stand in. Default: the switch `FF_PROVIDER_FAILOVER_ENABLED`, read live. */
  readonly failover?: boolean;
}

/** When a failed attempt is made again at the same candidate. */
export interface RetryOptions {
  /** Further attempts at one candidate, where it sets none itself. Default 1. */
  readonly maxRetries?: number;
  /** The first wait is drawn from 0 to this; each further one from twice as much. Default 200. */
  readonly baseMs?: number;
  /** Default 5,000. */
  readonly maxBackoffMs?: number;
  /** An upstream that asks to wait longer is not waited for. Default 5,000. */
  readonly maxRetryAfterMs?: number;
  /** Retries never exceed this share of recent calls. Default 0.2. */
  readonly budgetRatio?: number;
}

/** How much a stream may hold for a reader that is slow, and for how long. */
export interface StreamOptions {
  /** Bytes that wait, each event's own 128 among them; beyond it the upstream is not read. Default 65,536. */
  readonly bufferBytes?: number;
  /** A reader that takes nothing for so long, with the buffer full, is cut off. Default 30,000. */
  readonly stallMs?: number;
}

/** What a function of the application may return for a schema; it is parsed, never written to. */
export type Value<S extends z.ZodType> = DeepReadonly<z.input<S>>;

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/**
 * Options of `createGuard`. The values' own types are inferred, so that a literal such as
 * `status: "FAILED"` needs no `as const`.
 */
export interface GuardOptions<
  In,
  Ok extends z.ZodType,
  Failed extends z.ZodType,
  Stub extends z.ZodType,
  M extends MeasuresSchema = never,
  FailedValue extends Value<Failed> = Value<Failed>,
  StubValue extends Value<Stub> = Value<Stub>,
> {
  /** Lower-case letters, digits and `_`; the names of its flags derive from it. */
  readonly feature: string;
  readonly contract: Contract<Ok, Failed, Stub>;
  /** The FAILED value of a failure; called once for each code at start, so it must be a pure function. */
  readonly failed: (failure: Failure) => FailedValue;
  /** The safe path. Its value is parsed on each call. */
  readonly stub: (input: In, context: StubContext<M>) => StubValue | Promise<StubValue>;
  /** The one provider; or a `route` over several. */
  readonly provider?: Provider<In>;
  readonly route?: RouteOptions<In>;
  readonly flags: FlagSource;
  /** What a failed request gets: the FAILED value, or the safe path's answer. There is no default. */
  readonly onFailure: "failed" | "stub";
  /** The application's own measures: numbers, booleans, enums. */
  readonly measures?: M;
  /** Measures of a value that parsed; for providers that report none themselves. */
  readonly measure?: (value: z.output<Ok>, input: In) => MeasuresReport<M>;
  /** Exactly `true` is a yes. */
  readonly optIn?: (input: In) => boolean;
  /** Subject ids, or rules over attributes. An empty list permits nobody. */
  readonly allowlist?: readonly AllowlistRule[];
  /** `require` (default): only who is listed passes. `include`: who is listed skips the percentage. */
  readonly allowlistMode?: AllowlistMode;
  readonly budget?: BudgetOptions;
  readonly prices?: PriceTable;
  readonly breaker?: BreakerOptions;
  readonly admission?: AdmissionStore;
  readonly tripwire?: TripwireOptions;
  /** Mode and `onIndeterminate` of a gate; default `enforce` and `closed`. The safety gates have none. */
  readonly gates?: Partial<
    Record<
      ConfigurableGateName,
      { readonly mode?: GateMode; readonly onIndeterminate?: OnIndeterminate }
    >
  >;
  /** Time limit of one attempt, the answer's body included. Default 30,000. */
  readonly timeoutMs?: number;
  /** Of a stream: from the call to its first content. Default 20,000. */
  readonly firstContentTimeoutMs?: number;
  /** Of a stream: between two signs of life after the first content. Default 10,000. */
  readonly chunkTimeoutMs?: number;
  /** Of the whole request: all attempts, waits and tools. Default 60,000. */
  readonly totalTimeoutMs?: number;
  readonly retry?: RetryOptions;
  readonly stream?: StreamOptions;
  /** What the model may call between its turns, by name. */
  readonly tools?: Readonly<Record<string, Tool>>;
  /** Turns that may call tools. Default 5. */
  readonly maxToolSteps?: number;
  readonly toolQueue?: ToolQueueOptions & {
    /** Default: the switch `FF_TOOL_QUEUE_ENFORCE`, read live. */
    readonly enforce?: boolean;
  };
  /** Flags that were not confirmed for so long close the feature. Default 5,000. */
  readonly maxStalenessMs?: number;
  /** Receive every event, each isolated. Without any, alerts become process warnings. */
  readonly sinks?: readonly EventSink[];
  /** `false`: no spans and metrics, also where `@opentelemetry/api` is installed. */
  readonly openTelemetry?: boolean;
  readonly clock?: Clock;
  readonly newId?: NewId;
  /** From 0 to 1, for the jitter of retries. */
  readonly random?: () => number;
}

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
    })
    .prefault({}),
  tools: z.record(z.string(), z.unknown()).optional(),
  maxToolSteps: z.int().min(1).max(100).default(5),
  toolQueue: toolQueueOptionsSchema.extend({ enforce: z.boolean().optional() }).prefault({}),
  maxStalenessMs: z.int().min(100).max(3_600_000).default(5_000),
  sinks: z.array(functionSchema).default([]),
  openTelemetry: z.boolean().default(true),
  clock: clockSchema.optional(),
  newId: functionSchema.optional(),
  random: functionSchema.optional(),
});

/** Options with their defaults; what is not plain data keeps its own types from {@link GuardOptions}. */
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

/** No control, format or line character: the names stand in events, headers and lines of logs. */
const oneLine = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

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
      if (typeof value === "string" && value.length <= 128 && oneLine.test(value)) continue;
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
  if (budget === undefined) return;
  const { callsPerRun, tokensPerRun, costNanoUsdPerRun } = budget;
  if ([callsPerRun, tokensPerRun, costNanoUsdPerRun].every((value) => value === undefined)) {
    throw new ConfigError({
      option: "createGuard.budget",
      got: "no cap",
      expected: "callsPerRun, tokensPerRun or costNanoUsdPerRun",
    });
  }
  const capsPrompt = tokensPerRun !== undefined || costNanoUsdPerRun !== undefined;
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
    if (route !== undefined || costNanoUsdPerRun === undefined) continue;
    if (typeof model !== "string" || prices?.[model] === undefined) {
      throw new ConfigError({
        option: "createGuard.prices",
        got: `no price for the model ${describeValue(model)}`,
        expected: "one, because budget.costNanoUsdPerRun is set",
      });
    }
  }
}
