import type {
  AdmissionStore,
  BudgetStore,
  Clock,
  ConfigurableGateName,
  Contract,
  EventSink,
  Failure,
  FlagSource,
  GateMode,
  MeasuresReport,
  MeasuresSchema,
  MetricSink,
  NewId,
  OnIndeterminate,
  PriceTable,
  Provider,
  ProviderConfig,
  RouteSource,
  RouteStrategy,
} from "@sluice/contract";
import type { AllowlistRule } from "@sluice/policy";
import type { z } from "zod";
import type { AllowlistMode } from "./gates/allowlist.ts";
import type { StubContext } from "./safe-path.ts";
import type { BreakerOptions } from "./stores/opossum-breaker.ts";
import type { Tool } from "./tools/define-tools.ts";
import type { ToolQueueOptions } from "./tools/tool-queue-options.ts";
import type { TripwireOptions } from "./tripwire.ts";

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
  /**
   * Lets out what a model says to itself, where its provider tells it: not before the first content, and as
   * far as the contract's forbidden patterns permit. Default false.
   */
  readonly reasoning?: boolean;
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
  /**
   * Receive the events that they subscribe to, each isolated. Where none subscribes to alerts, those become
   * process warnings.
   */
  readonly sinks?: readonly EventSink[];
  /** Receives figures of each outcome and response of an open feature, isolated as the sinks are. */
  readonly metrics?: MetricSink;
  /** `false`: no spans and metrics, also where `@opentelemetry/api` is installed. */
  readonly openTelemetry?: boolean;
  readonly clock?: Clock;
  readonly newId?: NewId;
  /** From 0 to 1, for the jitter of retries. */
  readonly random?: () => number;
}
