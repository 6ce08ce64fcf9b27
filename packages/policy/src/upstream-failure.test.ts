import { failureCodes } from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failureOfStatus } from "./failure-table.ts";
import { upstreamFailure, type UpstreamError } from "./upstream-failure.ts";

const quota =
  "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.";
const perMinute =
  "Rate limit reached for gpt-4o-mini in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s. Visit https://platform.openai.com/account/rate-limits to learn more. You can increase your rate limit by adding a payment method to your account at https://platform.openai.com/account/billing.";
const azureTokenRate = (seconds: number): string =>
  `Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-02-15-preview have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after ${seconds} seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.`;

type Case = readonly [what: string, error: UpstreamError, code: string, retryAfterMs?: number];

const cases: readonly Case[] = [
  [
    "OpenAI's spent quota, which waiting does not mend",
    { status: 429, code: "insufficient_quota", type: "insufficient_quota", message: quota },
    "PROVIDER_QUOTA",
  ],
  ["a spent quota whose code a proxy lost", { status: 429, message: quota }, "PROVIDER_QUOTA"],
  [
    "Gemini's limit of one minute in the same words",
    { status: 429, code: 429, type: "RESOURCE_EXHAUSTED", message: `${quota} retry in 34.07s.` },
    "PROVIDER_RATE_LIMITED",
    34_070,
  ],
  ["a spent balance", { status: 402, message: "Insufficient Balance" }, "PROVIDER_QUOTA"],
  [
    "OpenAI's limit of requests",
    { status: 429, code: "rate_limit_exceeded", type: "requests", message: perMinute },
    "PROVIDER_RATE_LIMITED",
    20_000,
  ],
  [
    "OpenAI's limit of tokens, gone in a moment",
    {
      status: 429,
      code: "rate_limit_exceeded",
      type: "tokens",
      message: "Limit: 10000 / min. Please try again in 6ms. Contact us",
    },
    "PROVIDER_RATE_LIMITED",
    6,
  ],
  [
    "the same inside a 200",
    {
      status: 200,
      code: "rate_limit_exceeded",
      message: "Limit 200000, Used 162960, Requested 42288. Please try again in 1.574s.",
    },
    "PROVIDER_RATE_LIMITED",
    1574,
  ],
  [
    "a header before the message",
    { status: 429, message: "Please try again in 20s.", retryAfterMs: 7 },
    "PROVIDER_RATE_LIMITED",
    7,
  ],
  [
    "Azure's limit of tokens",
    { status: 429, code: "429", message: azureTokenRate(20) },
    "PROVIDER_RATE_LIMITED",
    20_000,
  ],
  [
    "Azure's answer to a prompt beyond the limit of a minute",
    { status: 429, code: "429", message: azureTokenRate(86_400), retryAfterMs: 86_400_000 },
    "PROVIDER_BAD_REQUEST",
  ],
  [
    "OpenAI's answer to a prompt beyond the limit of a minute",
    {
      status: 429,
      code: "rate_limit_exceeded",
      type: "tokens",
      message:
        "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 30601.",
    },
    "PROVIDER_BAD_REQUEST",
  ],
  [
    "any host's that says so in numbers",
    { status: 429, message: "tokens per minute: limit: 6,000, requested: 6,001" },
    "PROVIDER_BAD_REQUEST",
  ],
  [
    "a request that fits the limit to the token",
    { status: 429, message: "Limit 6000, Requested 6000" },
    "PROVIDER_RATE_LIMITED",
  ],
  [
    "Perplexity's code",
    { status: 429, code: 429, type: "token_rate_limit_exceeded" },
    "PROVIDER_RATE_LIMITED",
  ],
  ["a 429 without an error", { status: 429 }, "PROVIDER_RATE_LIMITED"],
  ["Groq's full flex tier", { status: 498 }, "PROVIDER_RATE_LIMITED"],
  [
    "xAI's wrong key",
    {
      status: 400,
      code: "Client specified an invalid argument",
      message: "Incorrect API key provided: xa***ab.",
    },
    "PROVIDER_AUTH",
  ],
  [
    "xAI's wrong key, encoded",
    { status: 400, message: "Incorrect%20API%20key%20provided:%20ba***na." },
    "PROVIDER_AUTH",
  ],
  ["Gemini's wrong key", { status: 400, message: "API key not valid." }, "PROVIDER_AUTH"],
  [
    "OpenAI's wrong key",
    { status: 401, code: "invalid_api_key", type: "invalid_request_error" },
    "PROVIDER_AUTH",
  ],
  ["Perplexity's wrong key", { status: 401, code: 401, type: "invalid_api_key" }, "PROVIDER_AUTH"],
  [
    "a country that is not served",
    { status: 403, code: "unsupported_country_region_territory" },
    "PROVIDER_AUTH",
  ],
  [
    "a prompt that OpenRouter's moderation stopped",
    { status: 403, code: 403, message: "Input was flagged by moderation" },
    "CONTENT_FILTERED",
  ],
  [
    "a prompt against xAI's guidelines",
    { status: 403, message: "Content violates usage guidelines." },
    "CONTENT_FILTERED",
  ],
  [
    "a prompt that Azure's filter stopped",
    { status: 400, code: "content_filter", type: null },
    "CONTENT_FILTERED",
  ],
  [
    "a filter that only Azure's inner error names",
    { status: 400, type: "ResponsibleAIPolicyViolation" },
    "CONTENT_FILTERED",
  ],
  [
    "a host that is overloaded under 400",
    { status: 400, code: null, message: "Our servers are currently overloaded." },
    "PROVIDER_UNAVAILABLE",
  ],
  [
    "Cloudflare's gateway under 400",
    { status: 400, code: 2005, message: "Failed to get response from provider" },
    "PROVIDER_UNAVAILABLE",
  ],
  ["a model that does not exist", { status: 404, code: "model_not_found" }, "PROVIDER_BAD_REQUEST"],
  [
    "a model that does not exist, under 400",
    { status: 400, code: "model_not_found", type: "invalid_request_error" },
    "PROVIDER_BAD_REQUEST",
  ],
  [
    "a prompt beyond the context",
    { status: 400, code: "context_length_exceeded" },
    "PROVIDER_BAD_REQUEST",
  ],
  [
    "Perplexity's prompt beyond the context",
    { status: 400, code: 400, type: "too_many_prompt_tokens" },
    "PROVIDER_BAD_REQUEST",
  ],
  ["a number as the code of a 502", { status: 502, code: 502 }, "PROVIDER_UNAVAILABLE"],
  ["Cloudflare's 520", { status: 520 }, "PROVIDER_UNAVAILABLE"],
  ["Cloudflare's 522", { status: 522 }, "PROVIDER_UNAVAILABLE"],
  ["Anthropic's 529", { status: 529, type: "overloaded_error" }, "PROVIDER_UNAVAILABLE"],
  ["a 503 that says when", { status: 503, retryAfterMs: 9 }, "PROVIDER_UNAVAILABLE", 9],
  [
    "an overloaded host inside a 200",
    { status: 200, code: "server_is_overloaded", type: "service_unavailable_error" },
    "PROVIDER_UNAVAILABLE",
  ],
  ["a status as the code inside a 200", { status: 200, code: 502 }, "PROVIDER_UNAVAILABLE"],
  ["the same in a string", { status: 200, code: "429" }, "PROVIDER_RATE_LIMITED"],
  ["vLLM's bad request inside a 200", { status: 200, code: 400 }, "PROVIDER_BAD_REQUEST"],
  [
    "a bad request inside a 200",
    { status: 200, code: "tool_use_failed", type: "invalid_request_error" },
    "PROVIDER_BAD_REQUEST",
  ],
  ["a timeout inside a 200", { status: 200, type: "timeout" }, "PROVIDER_TIMEOUT"],
  ["anything else inside a 200", { status: 200, code: "boom" }, "PROVIDER_UNAVAILABLE"],
  [
    "Anthropic's spent balance",
    {
      status: 400,
      type: "invalid_request_error",
      message: "Your credit balance is too low to access the Anthropic API.",
    },
    "PROVIDER_QUOTA",
  ],
  [
    "LiteLLM's spent budget",
    { status: 400, code: "400", type: "budget_exceeded", message: "Budget has been exceeded!" },
    "PROVIDER_QUOTA",
  ],
  [
    "a throttled call of Bedrock",
    { status: 400, type: "ThrottlingException" },
    "PROVIDER_RATE_LIMITED",
  ],
  [
    "a value that only sounds like a filter",
    { status: 400, type: "invalid_request_error", message: "Invalid value: 'flagged'." },
    "PROVIDER_BAD_REQUEST",
  ],
  [
    "a parameter that only sounds like a filter",
    { status: 400, message: "Unsupported parameter: moderation" },
    "PROVIDER_BAD_REQUEST",
  ],
  [
    "a parameter that only sounds like trouble",
    { status: 400, message: "Unknown parameter: 'overloaded'" },
    "PROVIDER_BAD_REQUEST",
  ],
  [
    "a code that stands before the words of its message",
    { status: 400, code: "context_length_exceeded", message: "Your input was flagged" },
    "PROVIDER_BAD_REQUEST",
  ],
  [
    "a host that requires moderation",
    { status: 403, message: "x requires moderation on Anthropic. Your input was flagged" },
    "CONTENT_FILTERED",
  ],
  ["a redirect that nobody follows", { status: 308 }, "PROVIDER_BAD_REQUEST"],
  ["a conflict that passes", { status: 409 }, "PROVIDER_UNAVAILABLE"],
  ["a number that is no status", { status: 200, code: 7 }, "PROVIDER_UNAVAILABLE"],
];

describe("what an upstream says went wrong", () => {
  it.each(
    cases.map(([what, error, code, retryAfterMs]) => [what, error, code, retryAfterMs] as const),
  )("%s", (_, error, code, retryAfterMs) => {
    expect(upstreamFailure(error)).toEqual({ code, retryAfterMs });
  });

  it("does not go by words that another status gives another meaning", () => {
    const message = "The server is overloaded; the API key not valid; flagged";
    expect(upstreamFailure({ status: 500, message }).code).toBe("PROVIDER_UNAVAILABLE");
    expect(upstreamFailure({ status: 404, message }).code).toBe("PROVIDER_BAD_REQUEST");
    expect(upstreamFailure({ status: 429, message }).code).toBe("PROVIDER_RATE_LIMITED");
  });

  it("is a failure code, whatever it is, and nothing of its text", () => {
    const anything = fc.anything({ withNullPrototype: true, withBigInt: true });
    const arbitrary = fc.record({
      status: fc.integer({ min: 200, max: 599 }),
      code: anything,
      type: anything,
      message: fc.oneof(anything, fc.string()),
    });
    fc.assert(
      fc.property(arbitrary, (error) => {
        const failure = upstreamFailure(error);
        return (
          failureCodes.includes(failure.code) &&
          Object.keys(failure).every((key) => key === "code" || key === "retryAfterMs")
        );
      }),
    );
  });

  it("goes by the status where nothing says more", () => {
    const statuses = fc.integer({ min: 400, max: 599 }).filter((status) => status !== 498);
    fc.assert(
      fc.property(
        statuses,
        (status) => upstreamFailure({ status }).code === failureOfStatus(status),
      ),
    );
  });

  it.each([
    "exceeded token rate limit".repeat(40_000),
    "limit: ".repeat(150_000),
    "requested 1,".repeat(90_000),
    "try again in 1".repeat(80_000),
    "usage content flag incorrect%20api%20".repeat(30_000),
  ])("is found in time linear in a message: %.20s…", { timeout: 2000 }, (message) => {
    for (const status of [200, 400, 403, 429]) {
      expect(failureCodes).toContain(upstreamFailure({ status, message }).code);
    }
  });
});
