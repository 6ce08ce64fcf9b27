import { ConfigError, parseOptions, type Provider } from "@sluice/contract";
import { z } from "zod";
import {
  apiKeySchema,
  apis,
  assertNoCredentials,
  baseUrlSchema,
  endpoint,
  hostOptions,
  providerName,
  providerNameWords,
} from "./host-options.ts";
import { openaiCompatible, type Api } from "./openai-compatible.ts";
import type { Prompt } from "./prompt.ts";

export interface CustomProviderOptions<In> {
  /** Name in decisions, records and telemetry. */
  readonly name: string;
  /** http or https; the API's path comes after it, as in `https://x.example/openai/deployments/d`. */
  readonly baseUrl: string;
  readonly model: string;
  /** The messages for an input; a string is one user message. */
  readonly prompt: Prompt<In>;
  /** A function is asked on each call, for keys that change. Without it no key is sent. */
  readonly apiKey?: string | (() => string | Promise<string>) | undefined;
  /** How the key is sent: `bearer`, the default, or the name of a header (`api-key` for Azure). */
  readonly auth?: string | undefined;
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Added to the URL: `{ "api-version": "2024-10-21" }`. */
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** Chat Completions, the default, or Responses. */
  readonly api?: Api | undefined;
  /** Upper bound of the tokens of a text; default its bytes. */
  readonly tokens?: ((text: string) => number) | undefined;
  /**
   * What the host calls the output cap of Chat Completions. Default `max_tokens`, which hosts other than
   * OpenAI know; one that passes over a field it doesn't know would answer without a cap.
   */
  readonly maxTokensField?: "max_completion_tokens" | "max_tokens" | undefined;
  /** How the host is asked for the contract's schema. With the last two the prompt has to say it. Default `json_schema`. */
  readonly structuredOutput?: "json_schema" | "json_object" | "none" | undefined;
  /** Ask for usage at the end of a stream. Default true; false for hosts that refuse `stream_options`. */
  readonly streamUsage?: boolean | undefined;
  /** Default: the runtime's own. */
  readonly fetch?: typeof fetch | undefined;
}

/** Source: RFC 9110, section 5.6.2. */
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
/** Words, as in `x-api-key`; a key put where its header's name belongs has none, or begins as keys do. */
const nameOfKeyHeader = /^(?!(?:sk|pk|rk|gsk|xai|hf)[-_])[a-z]{1,20}\d?(?:[-_][a-z]{1,20}\d?)*$/i;
/** Those that `fetch` writes itself, or that are the protocol's. */
const ownHeaders = new Set([
  "accept",
  "connection",
  "content-length",
  "content-type",
  "host",
  "idempotency-key",
  "transfer-encoding",
]);

const optionsSchema = z.strictObject({
  ...hostOptions,
  name: z.string().regex(providerName, { error: providerNameWords }),
  api: z.enum(apis).default("chat"),
  baseUrl: baseUrlSchema,
  apiKey: z
    .custom<string | (() => string | Promise<string>)>(
      (value) => typeof value === "function" || apiKeySchema.safeParse(value).success,
      { error: "an API key, or a function that gives one" },
    )
    .optional(),
  auth: z
    .string()
    .refine((name) => nameOfKeyHeader.test(name) && !ownHeaders.has(name.toLowerCase()), {
      error: "bearer, or the name of a header for the key",
    })
    .default("bearer"),
  headers: z.record(z.string(), z.string()).optional(),
  query: z.record(z.string(), z.string()).optional(),
  maxTokensField: z.enum(["max_completion_tokens", "max_tokens"]).default("max_tokens"),
  structuredOutput: z.enum(["json_schema", "json_object", "none"]).default("json_schema"),
  streamUsage: z.boolean().default(true),
});

/**
 * Any host that speaks OpenAI's Chat Completions or Responses. It makes one call and never retries.
 * @throws ConfigError
 */
export function customProvider<In>(options: CustomProviderOptions<In>): Provider<In> {
  const parsed = parseOptions("customProvider", optionsSchema, options);
  const { apiKey, auth, baseUrl, api, query } = parsed;
  const given = Object.entries(parsed.headers ?? {});
  assertNoCredentials("customProvider.baseUrl", baseUrl);
  assertHeaders(given, apiKey === undefined ? undefined : keyHeaderName(auth));
  const headers = Object.fromEntries(given.map(([name, value]) => [name.toLowerCase(), value]));
  const keyHeader = (key: string): string => (auth === "bearer" ? `Bearer ${key}` : key);
  return openaiCompatible({
    name: parsed.name,
    model: parsed.model,
    api,
    prompt: options.prompt,
    tokens: options.tokens,
    fetch: options.fetch,
    url: endpoint(baseUrl, api, query),
    notReady: undefined,
    headers:
      typeof apiKey === "string"
        ? { ...headers, [keyHeaderName(auth)]: keyHeader(apiKey) }
        : headers,
    key:
      typeof apiKey === "function"
        ? {
            header: keyHeaderName(auth),
            read: async () => keyHeader(apiKeySchema.parse(await apiKey())),
          }
        : undefined,
    maxTokensField: parsed.maxTokensField,
    structuredOutput: parsed.structuredOutput,
    streamUsage: parsed.streamUsage,
  });
}

function keyHeaderName(auth: string): string {
  return auth === "bearer" ? "authorization" : auth.toLowerCase();
}

/** @throws ConfigError that shows no value: it may be a secret. */
function assertHeaders(
  headers: readonly (readonly [name: string, value: string])[],
  keyHeader: string | undefined,
): void {
  for (const [name, value] of headers) {
    const expected = expectedOfHeader(name.toLowerCase(), value, keyHeader);
    if (expected === undefined) continue;
    const option = headerName.test(name)
      ? `customProvider.headers.${name}`
      : "customProvider.headers";
    throw new ConfigError({ option, got: "a header (not shown)", expected });
  }
}

function expectedOfHeader(
  name: string,
  value: string,
  keyHeader: string | undefined,
): string | undefined {
  if (!headerName.test(name)) return "the name of a header";
  if (ownHeaders.has(name)) return "none of the headers that each request has";
  if (name === keyHeader) return "the key in customProvider.apiKey alone";
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value) ? undefined : "a value that a header can carry";
}
