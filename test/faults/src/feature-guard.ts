import {
  defineContract,
  FailureCode,
  type AdmissionStore,
  type EventSink,
  type Provider,
} from "@sluice/contract";
import {
  createGuard,
  memoryAdmission,
  staticFlags,
  type BreakerOptions,
  type Guard,
  type StreamOptions,
} from "@sluice/guard";
import { customProvider, openaiProvider } from "@sluice/providers";
import { z } from "zod";
import type { Mode } from "./expectations.ts";

const failedMember = z.object({ status: z.literal("FAILED"), code: z.enum(FailureCode) });
const stubMember = z.object({ status: z.literal("STUB"), text: z.string() });

const structuredContract = defineContract({
  ok: z.object({ status: z.literal("OK"), text: z.string(), words: z.int() }),
  failed: failedMember,
  stub: stubMember,
});
const textContract = defineContract({
  ok: z.object({ status: z.literal("OK"), text: z.string() }),
  failed: failedMember,
  stub: stubMember,
  text: { field: "text", maxChars: 1_000_000 },
});

export const question = "how are you?";
export const stubValue = { status: "STUB", text: "a person answers" } as const;

/** Out of reach: what ends before it was not ended by a clock. */
const outOfReachMs = 8000;

const maxOutputTokens = 50;
const price = { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 2 } as const;

export interface FeatureOptions {
  readonly mode: Mode;
  /** Where `first` and, of a pair, `second` are. */
  readonly urls: readonly [first: string, second?: string];
  readonly maxRetries?: number;
  readonly onFailure?: "failed" | "stub";
  /** Of a stream, to its first content and between two pieces. Default: out of reach of any test. */
  readonly gapMs?: number;
  /** Of one attempt. Default as above. */
  readonly attemptMs?: number;
  /** Of the request. Default as above. */
  readonly totalMs?: number;
  readonly breaker?: BreakerOptions;
  /** Requests at the same time. Default 1. */
  readonly inFlight?: number;
  readonly stream?: StreamOptions;
  readonly sink?: EventSink;
}

export interface Feature {
  readonly guard: Guard<string, unknown, unknown, unknown>;
  readonly admission: AdmissionStore;
  /** What one call sets aside. */
  readonly reservedTokens: number;
}

const prompt = (text: string): string => text;

const at = (name: string, url: string) =>
  ({ name, model: name, baseUrl: `${url}/v1`, apiKey: "sk-test", prompt }) as const;

/** Each kind of provider meets every fault: alone the one, in a pair the other. */
function providersAt([first, second]: FeatureOptions["urls"]): readonly Provider<string>[] {
  return second === undefined
    ? [openaiProvider<string>(at("first", first))]
    : [customProvider<string>(at("first", first)), openaiProvider<string>(at("second", second))];
}

/** The feature that meets the faults. */
export function createFeature(options: FeatureOptions): Feature {
  const { mode, maxRetries = 0, onFailure = "failed", inFlight: limit = 1, stream } = options;
  const { gapMs = outOfReachMs, attemptMs = outOfReachMs, totalMs = outOfReachMs } = options;
  const providers = providersAt(options.urls);
  const admission = memoryAdmission({ globalInFlight: { limit }, userInFlight: { limit } });
  const common = {
    feature: "faults_ai",
    failed: ({ code }: { readonly code: FailureCode }) => ({ status: "FAILED", code }) as const,
    stub: () => stubValue,
    onFailure,
    route: {
      providers,
      candidates: providers.map(({ name }) => ({ provider: name })),
      strategy: "failover",
      failover: true,
    },
    flags: staticFlags({ faults_ai: { enabled: true } }),
    admission,
    budget: {
      callsPerRun: 10_000,
      tokensPerRun: 10_000_000,
      costNanoUsdPerRun: 1_000_000_000,
      maxOutputTokens,
    },
    prices: { first: price, second: price },
    breaker: options.breaker ?? {},
    retry: { maxRetries, baseMs: 5 },
    ...(stream === undefined ? {} : { stream }),
    firstContentTimeoutMs: gapMs,
    chunkTimeoutMs: gapMs,
    timeoutMs: attemptMs,
    totalTimeoutMs: totalMs,
    sinks: [options.sink ?? (() => undefined)],
    openTelemetry: false,
  } as const;
  const contract = mode === "text stream" ? textContract : structuredContract;
  const promptTokens = providers[0]?.inputTokens?.({
    input: question,
    schema: contract.askable,
    tools: [],
    steps: [],
  });
  if (promptTokens === undefined) throw new TypeError("the provider counts no prompt");
  return {
    guard:
      mode === "text stream"
        ? createGuard({ ...common, contract: textContract })
        : createGuard({ ...common, contract: structuredContract }),
    admission,
    reservedTokens: promptTokens + maxOutputTokens,
  };
}
