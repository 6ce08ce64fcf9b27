import type { LanguageModelV4, LanguageModelV4CallOptions } from "@ai-sdk/provider";
import {
  FailureCode,
  functionSchema,
  parseOptions,
  type Provider,
  type ProviderAsk,
  type ProviderCall,
  type ProviderEvent,
  type ProviderFailure,
  type ProviderReply,
} from "@sluice/contract";
import { tokenUpperBound } from "@sluice/policy";
import { z } from "zod";
import { failureOfCall } from "./failure-of-error.ts";
import { fromGenerateResult } from "./from-generate-result.ts";
import { fromStream } from "./from-stream.ts";
import { assertLanguageModel } from "./language-model.ts";
import type { PromptContext, PromptMessage } from "./prompt-message.ts";
import { toCallOptions, type FixedCallOptions } from "./to-call-options.ts";
import { askBound } from "./token-bounds.ts";

export interface AiSdkProviderOptions<In> {
  /** A language model of AI SDK 7, as its provider packages make them. */
  readonly model: LanguageModelV4;
  /** The messages for an input; a string is one user message. */
  readonly prompt: (input: In, context: PromptContext) => string | readonly PromptMessage[];
  /**
   * The models that a route may name besides, by their id: `models: openai`. Without it a candidate with
   * another model than `model` fails before anything is sent.
   */
  readonly models?: (modelId: string) => LanguageModelV4;
  /** Name in decisions, records and telemetry. Default: the model's `provider`. */
  readonly name?: string;
  /** Upper bound of the tokens of a text; default its bytes. A tokenizer narrows what is reserved. */
  readonly tokens?: (text: string) => number;
  /** Handed to the model on each call. */
  readonly providerOptions?: NonNullable<LanguageModelV4CallOptions["providerOptions"]>;
  /** Sent on each call; the idempotency key is added. */
  readonly headers?: Readonly<Record<string, string>>;
}

const optionsSchema = z.strictObject({
  model: z.custom<LanguageModelV4>(),
  prompt: functionSchema,
  models: functionSchema.optional(),
  name: z
    .string()
    .regex(/^[^\p{C}\p{Zl}\p{Zp}]{1,128}$/u, { error: "1 to 128 characters on one line" })
    .optional(),
  tokens: functionSchema.optional(),
  providerOptions: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  headers: z.record(z.string(), z.string()).optional(),
});

/** A call made ready, or why it can't be made. */
type Ready =
  | { readonly model: LanguageModelV4; readonly options: LanguageModelV4CallOptions }
  | { readonly failure: ProviderFailure };

/**
 * A language model of the AI SDK as a provider: `doGenerate` or `doStream`, once. Retries of the SDK's
 * are its functions', not the model's, so there is one retry loop: the guard's.
 * @throws ConfigError
 */
export function aiSdkProvider<In>(options: AiSdkProviderOptions<In>): Provider<In> {
  const where = "aiSdkProvider";
  const { name } = parseOptions(where, optionsSchema, options);
  assertLanguageModel(`${where}.model`, options.model);
  const { model, prompt, models, tokens = tokenUpperBound } = options;
  const fixed: FixedCallOptions = {
    ...(options.headers === undefined ? {} : { headers: { ...options.headers } }),
    ...(options.providerOptions === undefined ? {} : { providerOptions: options.providerOptions }),
  };
  const messagesOf = ({
    input,
    promptTemplateVersion,
  }: ProviderAsk<In>): readonly PromptMessage[] => {
    const made = prompt(input, { promptTemplateVersion });
    return typeof made === "string" ? [{ role: "user", content: made }] : made;
  };
  const boundOf = askBound(tokens);

  const ready = (call: ProviderCall<In>): Ready => {
    if (call.signal.aborted) return { failure: notSent(FailureCode.CLIENT_ABORTED) };
    let chosen = model;
    if (call.model !== undefined && call.model !== model.modelId) {
      if (models === undefined) return { failure: notSent(FailureCode.PROVIDER_BAD_REQUEST) };
      try {
        const made: unknown = models(call.model);
        assertLanguageModel(`${where}.models`, made);
        chosen = made;
      } catch {
        return { failure: notSent(FailureCode.PROVIDER_BAD_REQUEST) };
      }
    }
    try {
      return { model: chosen, options: toCallOptions(messagesOf(call), call, fixed) };
    } catch {
      // The application's own prompt.
      return { failure: notSent(FailureCode.INTERNAL) };
    }
  };

  return {
    name: name ?? model.provider,
    model: model.modelId,
    inputTokens: (ask) => boundOf(messagesOf(ask), ask),
    async generate(call): Promise<ProviderReply> {
      const made = ready(call);
      if ("failure" in made) return made.failure;
      try {
        return fromGenerateResult(await made.model.doGenerate(made.options));
      } catch (error) {
        return failureOfCall(error, call.signal);
      }
    },
    async *stream(call): AsyncGenerator<ProviderEvent, void> {
      const made = ready(call);
      if ("failure" in made) {
        yield { type: "failed", failure: made.failure };
        return;
      }
      let events: AsyncGenerator<ProviderEvent, void>;
      try {
        const { stream } = await made.model.doStream(made.options);
        events = fromStream(stream, call.signal);
      } catch (error) {
        yield { type: "failed", failure: failureOfCall(error, call.signal) };
        return;
      }
      yield* events;
    },
  };
}

function notSent(code: FailureCode): ProviderFailure {
  return { ok: false, code, dispatched: false };
}
