import type { LanguageModelV4CallOptions } from "@ai-sdk/provider";
import {
  ConfigError,
  defineContract,
  FailureCode,
  type Failure,
  type Provider,
} from "@sluice/contract";
import { createGuard, type Guard, type GuardOptions, type StreamOptions } from "@sluice/guard";
import { tokenUpperBound } from "@sluice/policy";
import { z } from "zod";
import { paramsBound } from "./params-bound.ts";

type Params = LanguageModelV4CallOptions;

/** The options of a guard that have a meaning where the AI SDK makes the call. */
export interface PassedOptions
  extends Pick<
    GuardOptions<Params, z.ZodType, z.ZodType, z.ZodType>,
    | "feature"
    | "flags"
    | "optIn"
    | "allowlist"
    | "allowlistMode"
    | "budget"
    | "prices"
    | "breaker"
    | "admission"
    | "tripwire"
    | "gates"
    | "timeoutMs"
    | "firstContentTimeoutMs"
    | "chunkTimeoutMs"
    | "totalTimeoutMs"
    | "maxStalenessMs"
    | "sinks"
    | "metrics"
    | "openTelemetry"
    | "clock"
    | "newId"
  > {
  /** A reader that takes nothing for so long is cut off. Default 30,000. */
  readonly stream?: Pick<StreamOptions, "stallMs">;
}

/** Those of a guard that the AI SDK has no place for: it makes the call, retries it, and takes its words as they are. */
const ownOptions = [
  "contract",
  "failed",
  "stub",
  "provider",
  "route",
  "onFailure",
  "measures",
  "measure",
  "retry",
  "tools",
  "maxToolSteps",
  "toolQueue",
  "random",
] as const;

/** Nothing is validated: what the model says is the AI SDK's to read. */
const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), text: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.enum(FailureCode) }),
  stub: z.object({ status: z.literal("STUB") }),
  text: { field: "text" },
});

/**
 * A guard whose calls are made by others.
 * @throws ConfigError
 */
export function createModelGuard(
  where: string,
  options: PassedOptions,
  model: {
    readonly name: string;
    readonly modelId: string | undefined;
    readonly tokens: ((text: string) => number) | undefined;
    readonly inputTokens: ((params: Params) => number) | undefined;
  },
) {
  for (const option of ownOptions) {
    if (!Object.hasOwn(options, option)) continue;
    throw new ConfigError({
      option: `${where}.${option}`,
      got: "an unknown option",
      expected: "only documented options",
    });
  }
  const { name, modelId, tokens = tokenUpperBound } = model;
  const inputTokens = model.inputTokens ?? ((params: Params) => paramsBound(params, tokens));
  const provider: Provider<Params> = {
    name,
    model: modelId,
    inputTokens: ({ input }) => inputTokens(input),
    // Never asked: the calls are handed over.
    generate: () =>
      Promise.resolve({ ok: false, code: FailureCode.INTERNAL, dispatched: false } as const),
  };
  return createGuard({
    ...options,
    contract,
    provider,
    failed: ({ code }: Failure) => ({ status: "FAILED", code }),
    stub: () => ({ status: "STUB" }),
    onFailure: "failed",
  });
}

export type ModelGuard = ReturnType<typeof createModelGuard>;

/** What operators do with a guard: stop it, look at it, end it. */
export type GuardControls = Pick<
  Guard<Params, unknown, unknown, unknown>,
  | "feature"
  | "kill"
  | "restore"
  | "resetTripwire"
  | "budget"
  | "inFlight"
  | "describe"
  | "flush"
  | "close"
>;
