import {
  ConfigError,
  FailureCode,
  functionSchema,
  parseOptions,
  type AskableSchema,
  type Provider,
  type ProviderNotReady,
  type ProviderReply,
} from "@sluice/contract";
import { tokenUpperBound } from "@sluice/policy";
import OpenAI from "openai";
import { z } from "zod";
import { boundedFetch } from "./bounded-fetch.ts";
import { fromChatCompletion } from "./from-chat-completion.ts";
import { fromOpenaiError } from "./from-openai-error.ts";
import { openaiEnv } from "./openai-env.ts";

export interface PromptMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface OpenaiProviderOptions<In> {
  readonly model: string;
  /** The messages for an input; a string is one user message. */
  readonly prompt: (input: In) => string | readonly PromptMessage[];
  /** Default: `OPENAI_API_KEY`. Without a key the provider is not ready and the safe path serves. */
  readonly apiKey?: string | undefined;
  /** http or https. Default: `OPENAI_BASE_URL`, else OpenAI's own. */
  readonly baseUrl?: string | undefined;
  /** Name in decisions, records and telemetry. Default `openai`. */
  readonly name?: string;
  /** Upper bound of the tokens of a text; default its bytes. A tokenizer narrows what is reserved. */
  readonly tokens?: (text: string) => number;
}

/** What a header can carry; anything else would fail on each call. */
const apiKeySchema = z.string().regex(/^[\x21-\x7e]+$/, { error: "an API key" });
const baseUrlSchema = z.url({ protocol: /^https?$/, error: "an http or https URL" });

const optionsSchema = z.strictObject({
  model: z.string().min(1).max(128),
  prompt: functionSchema,
  apiKey: apiKeySchema.optional(),
  baseUrl: baseUrlSchema.optional(),
  name: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,63}$/, { error: "lower-case letters, digits, _ and -" })
    .default("openai"),
  tokens: functionSchema.optional(),
});

/**
 * Tokens that the wire format adds to each message and to the answer's start: 3 and 3 for OpenAI's
 * models, doubled and rounded up for others.
 * Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
 */
const tokensPerMessage = 8;
/** The longest attempt a guard allows; its own signal ends a call long before. */
const neverMs = 600_000;

/**
 * OpenAI's Chat Completions through the official client, with structured output from the contract. It
 * makes one call and never retries.
 * @throws ConfigError
 */
export function openaiProvider<In>(options: OpenaiProviderOptions<In>): Provider<In> {
  const parsed = parseOptions("openaiProvider", optionsSchema, options);
  if (parsed.baseUrl !== undefined && hasCredentials(parsed.baseUrl)) {
    throw new ConfigError({
      option: "openaiProvider.baseUrl",
      got: "a URL with a user name or password (not shown)",
      expected: "one without: fetch refuses it",
    });
  }
  const env = openaiEnv();
  const apiKey = parsed.apiKey ?? env.apiKey;
  const baseUrl = parsed.baseUrl ?? env.baseUrl;
  const notReady = missing(apiKey, baseUrl);
  const { prompt, tokens = tokenUpperBound } = options;
  const client =
    notReady !== undefined
      ? undefined
      : new OpenAI({
          apiKey,
          baseURL: baseUrl ?? null,
          maxRetries: 0,
          timeout: neverMs,
          // Whatever OPENAI_LOG says: the client logs bodies.
          logLevel: "off",
          fetch: boundedFetch,
          // A prompt goes to the configured host and no other.
          fetchOptions: { redirect: "error" },
        });
  const messagesOf = (input: In): readonly PromptMessage[] => {
    const made = prompt(input);
    return typeof made === "string" ? [{ role: "user", content: made }] : made;
  };
  const schemaTokens = boundOnce(tokens);

  return {
    name: parsed.name,
    model: parsed.model,
    notReady: () => notReady,
    inputTokens(input, schema) {
      let bound = tokensPerMessage + schemaTokens(schema);
      for (const { content } of messagesOf(input)) bound += tokensPerMessage + tokens(content);
      return bound;
    },
    async generate(call): Promise<ProviderReply> {
      if (client === undefined) {
        return { ok: false, code: FailureCode.PROVIDER_AUTH, dispatched: false };
      }
      let messages: PromptMessage[];
      try {
        messages = messagesOf(call.input).map(({ role, content }) => ({ role, content }));
      } catch {
        return { ok: false, code: FailureCode.INTERNAL, dispatched: false };
      }
      try {
        const completion: unknown = await client.chat.completions.create(
          {
            model: parsed.model,
            messages,
            response_format: {
              type: "json_schema",
              json_schema: { name: "answer", strict: true, schema: { ...call.schema } },
            },
            ...(call.maxOutputTokens === undefined
              ? {}
              : { max_completion_tokens: call.maxOutputTokens }),
          },
          {
            signal: call.signal,
            // The client's own option of this name sends no header.
            headers: { "Idempotency-Key": call.idempotencyKey },
          },
        );
        return fromChatCompletion(completion);
      } catch (error) {
        return fromOpenaiError(error);
      }
    },
  };
}

/** A wrong environment never stops an application: the provider is not ready, and says why. */
function missing(
  apiKey: string | undefined,
  baseUrl: string | undefined,
): ProviderNotReady | undefined {
  if (!apiKeySchema.safeParse(apiKey).success) {
    return { variable: "OPENAI_API_KEY", expected: "an API key" };
  }
  if (baseUrl === undefined) return undefined;
  return baseUrlSchema.safeParse(baseUrl).success && !hasCredentials(baseUrl)
    ? undefined
    : { variable: "OPENAI_BASE_URL", expected: "an http or https URL without a password" };
}

function hasCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== "" || password !== "";
}

/** The schema is the same object on every call, so its tokens are counted once. */
function boundOnce(tokens: (text: string) => number): (schema: AskableSchema) => number {
  const bounds = new WeakMap<AskableSchema, number>();
  return (schema) => {
    let bound = bounds.get(schema);
    if (bound === undefined) {
      bound = tokens(JSON.stringify(schema));
      bounds.set(schema, bound);
    }
    return bound;
  };
}
