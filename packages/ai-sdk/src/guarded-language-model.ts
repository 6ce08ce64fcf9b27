import type { LanguageModelV4 } from "@ai-sdk/provider";
import { ConfigError, describeValue } from "@sluice/contract";
import { guardModel, type GuardModelOptions } from "./guard-middleware.ts";
import { assertLanguageModel } from "./language-model.ts";
import type { GuardControls } from "./model-guard.ts";

export interface GuardedLanguageModelOptions extends GuardModelOptions {
  /** A language model of AI SDK 7, as its provider packages make them. */
  readonly model: LanguageModelV4;
}

/** A language model with its guard. */
export type GuardedLanguageModel = LanguageModelV4 & { readonly guard: GuardControls };

/**
 * The same model behind a guard, for `streamText` and `generateText` as they are; see
 * `guardMiddleware`, which it applies.
 * @throws ConfigError
 */
export function guardedLanguageModel(options: GuardedLanguageModelOptions): GuardedLanguageModel {
  const where = "guardedLanguageModel";
  const given: unknown = options;
  if (typeof given !== "object" || given === null) {
    throw new ConfigError({ option: where, got: describeValue(given), expected: "an object" });
  }
  const { model, ...rest } = options;
  assertLanguageModel(`${where}.model`, model);
  const { provider, modelId } = model;
  const { guard, calls } = guardModel(where, { ...rest, name: provider, modelId });
  return {
    specificationVersion: "v4",
    provider,
    modelId,
    // Some models ask for theirs each time.
    get supportedUrls() {
      return model.supportedUrls;
    },
    guard,
    doGenerate: (params) => calls.generate(model, params),
    doStream: (params) => calls.stream(model, params),
  };
}
