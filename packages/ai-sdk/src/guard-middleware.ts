import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Middleware,
} from "@ai-sdk/provider";
import { functionSchema, parseOptions } from "@sluice/contract";
import { z } from "zod";
import { guardedCalls, type GuardedCalls } from "./guarded-calls.ts";
import { assertLanguageModel } from "./language-model.ts";
import { createModelGuard, type GuardControls, type PassedOptions } from "./model-guard.ts";

/** Who may call a model, and what happens to those who may not. */
export interface GuardModelOptions extends PassedOptions {
  /**
   * Whom eligibility is decided for, asked on each call; an `AsyncLocalStorage` of the application is
   * the usual place. `providerOptions.sluice.subject` of a call comes before it.
   */
  readonly subject: string | ((params: LanguageModelV4CallOptions) => string);
  /**
   * The safe path: answers what is diverted, and what is shut before it wrote anything. Without it those
   * calls throw a `SluiceDeniedError`.
   */
  readonly fallback?: LanguageModelV4;
  /** Upper bound of the tokens of a text; default its bytes. A tokenizer narrows what is reserved. */
  readonly tokens?: (text: string) => number;
  /**
   * Upper bound of the tokens of a whole prompt. Default: its texts and tools. A budget of tokens or
   * money needs it for prompts with images, documents or tools of the provider's.
   */
  readonly inputTokens?: (params: LanguageModelV4CallOptions) => number;
}

export interface GuardMiddlewareOptions extends GuardModelOptions {
  /** Name of the provider in records and telemetry. Default `ai-sdk`. */
  readonly name?: string;
  /** The model's id, for its price and for records. */
  readonly modelId?: string;
}

/** For `wrapLanguageModel` of the AI SDK, with the guard to operate it by. */
export type GuardMiddleware = LanguageModelV4Middleware & {
  readonly guard: GuardControls;
};

const ownSchema = z.object({
  subject: z.union([z.string(), functionSchema], {
    error: "a subject, or a function that tells it",
  }),
  tokens: functionSchema.optional(),
  inputTokens: functionSchema.optional(),
  name: z.string().optional(),
  modelId: z.string().optional(),
});

/**
 * Puts a guard in front of a language model: each call is decided, made once with the guard's signal and
 * what its budget has left, and accounted for by the guard's own pump. Retries are the AI SDK's, each
 * decided anew; denials are not retried.
 * @throws ConfigError
 */
export function guardMiddleware(options: GuardMiddlewareOptions): GuardMiddleware {
  const { guard, calls } = guardModel("guardMiddleware", options);
  return {
    specificationVersion: "v4",
    guard,
    wrapGenerate: ({ model, params }) => calls.generate(model, params),
    wrapStream: ({ model, params }) => calls.stream(model, params),
  };
}

/** The guard of a model's calls, and those calls. */
export function guardModel(
  where: string,
  options: GuardMiddlewareOptions,
): { readonly guard: GuardControls; readonly calls: GuardedCalls } {
  parseOptions(where, ownSchema, options);
  const { subject, fallback, tokens, inputTokens, name = "ai-sdk", modelId, ...passed } = options;
  if (fallback !== undefined) assertLanguageModel(`${where}.fallback`, fallback);
  const guard = createModelGuard(where, passed, { name, modelId, tokens, inputTokens });
  return { guard, calls: guardedCalls({ guard, subject, fallback }) };
}
