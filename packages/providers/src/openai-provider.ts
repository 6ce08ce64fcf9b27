import { parseOptions, type Provider, type ProviderNotReady } from "@sluice/contract";
import { z } from "zod";
import {
  apiKeySchema,
  apis,
  assertNoCredentials,
  baseUrlSchema,
  endpoint,
  hasCredentials,
  hostOptions,
  providerName,
  providerNameWords,
} from "./host-options.ts";
import { openaiCompatible, type Api } from "./openai-compatible.ts";
import { openaiEnv } from "./openai-env.ts";
import type { Prompt } from "./prompt.ts";

export interface OpenaiProviderOptions<In> {
  readonly model: string;
  /** The messages for an input; a string is one user message. */
  readonly prompt: Prompt<In>;
  /** Default: `OPENAI_API_KEY`. Without a key the provider is not ready and the safe path serves. */
  readonly apiKey?: string | undefined;
  /** http or https. Default: `OPENAI_BASE_URL`, else OpenAI's own. */
  readonly baseUrl?: string | undefined;
  /** Name in decisions, records and telemetry. Default `openai`. */
  readonly name?: string | undefined;
  /** Upper bound of the tokens of a text; default its bytes. A tokenizer narrows what is reserved. */
  readonly tokens?: ((text: string) => number) | undefined;
  /** Chat Completions, the default, or Responses. */
  readonly api?: Api | undefined;
  /** Default: the runtime's own. */
  readonly fetch?: typeof fetch | undefined;
}

const optionsSchema = z.strictObject({
  ...hostOptions,
  apiKey: apiKeySchema.optional(),
  baseUrl: baseUrlSchema.optional(),
  name: z.string().regex(providerName, { error: providerNameWords }).default("openai"),
  api: z.enum(apis).default("chat"),
});

const openaiUrl = "https://api.openai.com/v1";

/**
 * OpenAI, with structured output from the contract. It makes one call and never retries.
 * @throws ConfigError
 */
export function openaiProvider<In>(options: OpenaiProviderOptions<In>): Provider<In> {
  const parsed = parseOptions("openaiProvider", optionsSchema, options);
  if (parsed.baseUrl !== undefined) {
    assertNoCredentials("openaiProvider.baseUrl", parsed.baseUrl);
  }
  const env = openaiEnv();
  const apiKey = parsed.apiKey ?? env.apiKey;
  const baseUrl = parsed.baseUrl ?? env.baseUrl ?? openaiUrl;
  const notReady = missing(apiKey, baseUrl);
  const { name, model, api } = parsed;
  return openaiCompatible({
    name,
    model,
    api,
    prompt: options.prompt,
    tokens: options.tokens,
    fetch: options.fetch,
    url: notReady === undefined ? endpoint(baseUrl, api) : undefined,
    notReady,
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(env.organization === undefined ? {} : { "openai-organization": env.organization }),
      ...(env.project === undefined ? {} : { "openai-project": env.project }),
    },
    key: undefined,
    maxTokensField: "max_completion_tokens",
    structuredOutput: "json_schema",
    streamUsage: true,
  });
}

/** A wrong environment never stops an application: the provider is not ready, and says why. */
function missing(apiKey: string | undefined, baseUrl: string): ProviderNotReady | undefined {
  if (!apiKeySchema.safeParse(apiKey).success) {
    return { variable: "OPENAI_API_KEY", expected: "an API key" };
  }
  return baseUrlSchema.safeParse(baseUrl).success && !hasCredentials(baseUrl)
    ? undefined
    : { variable: "OPENAI_BASE_URL", expected: "an http or https URL without a password" };
}
