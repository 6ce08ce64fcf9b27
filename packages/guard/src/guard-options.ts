import {
  ConfigError,
  assertFeatureName,
  assertMeasuresSchema,
  describeValue,
  functionSchema,
  gateModes,
  indeterminatePolicies,
  parseOptions,
  priceTableSchema,
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
} from "@sluice/contract";
import type { AllowlistRule } from "@sluice/policy";
import { z } from "zod";
import type { AllowlistMode } from "./gates/allowlist.ts";
import type { StubContext } from "./safe-path.ts";
import { breakerOptionsSchema, type BreakerOptions } from "./stores/opossum-breaker.ts";
import { clockSchema } from "./system-clock.ts";
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
  readonly provider: Provider<In>;
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
  /** Flags that were not confirmed for so long close the feature. Default 5,000. */
  readonly maxStalenessMs?: number;
  /** Receive every event, each isolated. Without any, alerts become process warnings. */
  readonly sinks?: readonly EventSink[];
  /** `false`: no spans and metrics, also where `@opentelemetry/api` is installed. */
  readonly openTelemetry?: boolean;
  readonly clock?: Clock;
  readonly newId?: NewId;
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
  provider: having("a provider", "generate"),
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
  timeoutMs: z.int().min(1).max(600_000).default(30_000),
  maxStalenessMs: z.int().min(100).max(3_600_000).default(5_000),
  sinks: z.array(functionSchema).default([]),
  openTelemetry: z.boolean().default(true),
  clock: clockSchema.optional(),
  newId: functionSchema.optional(),
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
  assertProvider(settings);
  assertBudget(settings);
  assertTripwire(`${where}.tripwire`, settings.tripwire);
  return settings;
}

/** No control, format or line character: the names stand in events, headers and lines of logs. */
const oneLine = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

function assertProvider({ provider }: GuardSettings): void {
  const { name, model } = provider as Provider<never>;
  for (const [field, value] of Object.entries({ name, model })) {
    if (field === "model" && value === undefined) continue;
    if (typeof value === "string" && value.length <= 128 && oneLine.test(value)) continue;
    throw new ConfigError({
      option: `createGuard.provider.${field}`,
      got: describeValue(value),
      expected: "1 to 128 characters on one line",
    });
  }
}

function assertBudget({ budget, prices, provider }: GuardSettings): void {
  if (budget === undefined) return;
  const { callsPerRun, tokensPerRun, costNanoUsdPerRun } = budget;
  if ([callsPerRun, tokensPerRun, costNanoUsdPerRun].every((value) => value === undefined)) {
    throw new ConfigError({
      option: "createGuard.budget",
      got: "no cap",
      expected: "callsPerRun, tokensPerRun or costNanoUsdPerRun",
    });
  }
  const { model } = provider as Provider<never>;
  const capsPrompt = tokensPerRun !== undefined || costNanoUsdPerRun !== undefined;
  const { inputTokens }: { readonly inputTokens?: unknown } = provider;
  if (capsPrompt && typeof inputTokens !== "function") {
    throw new ConfigError({
      option: "createGuard.provider",
      got: "a provider without inputTokens",
      expected: "one with it, because the budget caps tokens or cost and must count the prompt",
    });
  }
  if (costNanoUsdPerRun !== undefined && (model === undefined || prices?.[model] === undefined)) {
    throw new ConfigError({
      option: "createGuard.prices",
      got: `no price for the model ${describeValue(model)}`,
      expected: "one, because budget.costNanoUsdPerRun is set",
    });
  }
}
