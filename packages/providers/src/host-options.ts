import { ConfigError, functionSchema } from "@sluice/contract";
import { z } from "zod";
import type { Api } from "./openai-compatible.ts";

/** What a header can carry; anything else would fail on each call. */
export const apiKeySchema = z.string().regex(/^[\x21-\x7e]+$/, { error: "an API key" });
export const baseUrlSchema = z.url({ protocol: /^https?$/, error: "an http or https URL" });
export const providerName = /^[a-z][a-z0-9_-]{0,63}$/;
export const providerNameWords = "lower-case letters, digits, _ and -";

/** Options that every OpenAI-compatible host has. */
export const hostOptions = {
  model: z.string().min(1).max(128),
  prompt: functionSchema,
  tokens: functionSchema.optional(),
  fetch: functionSchema.optional(),
} as const;

export function hasCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== "" || password !== "";
}

/** @throws ConfigError that does not show them. */
export function assertNoCredentials(option: string, url: string): void {
  if (!hasCredentials(url)) return;
  throw new ConfigError({
    option,
    got: "a URL with a user name or password (not shown)",
    expected: "one without: fetch refuses it",
  });
}

export const apis = ["chat", "responses"] as const satisfies readonly Api[];

const paths: Readonly<Record<Api, string>> = {
  chat: "chat/completions",
  responses: "responses",
};

/** Where requests go: the API's path after that of the base URL, whose own query stays. */
export function endpoint(
  baseUrl: string,
  api: Api,
  query: Readonly<Record<string, string>> = {},
): string {
  const url = new URL(baseUrl);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${paths[api]}`;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  url.hash = "";
  return url.href;
}
