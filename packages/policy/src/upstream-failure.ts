import { FailureCode } from "@sluice/contract";
import { failureOfStatus } from "./failure-table.ts";
import { parseDurationMs } from "./parse-duration.ts";

/** What an upstream said went wrong: an HTTP answer, or an error inside a 200. */
export interface UpstreamError {
  /** The HTTP status of what is no success; 200 for an error inside an answer that began well. */
  readonly status: number;
  /** `code` of the error body: a word, or a number where a host hands another host's status on. */
  readonly code?: unknown;
  /** `type` of the error body, or whatever else names its kind. */
  readonly type?: unknown;
  /** Looked at to classify, and never kept. */
  readonly message?: unknown;
  /** What the headers ask to wait. */
  readonly retryAfterMs?: number | undefined;
}

/** One line of the table; what it leaves out holds for all. */
interface UpstreamRow {
  /** HTTP statuses, or the one that a code inside a 200 stands for. */
  readonly statuses?: readonly number[];
  /** Found in `code` or in `type`, in any case. */
  readonly codes?: readonly string[];
  /** Found in the message. Each is linear in its length: no repetition of a repetition. */
  readonly message?: RegExp;
  /** A number of the message that is above another one of it. */
  readonly beyond?: { readonly asked: RegExp; readonly limit: RegExp };
  /** False: only where nothing says how long to wait. */
  readonly waits?: false;
  readonly failure: FailureCode;
}

/** The statuses under which hosts report failures of any kind. */
const vague = [200, 400];

/**
 * From the surest sign to the vaguest; the first that fits decides, and the status alone where none does.
 * Sources: https://platform.openai.com/docs/guides/error-codes and the bodies that hosts really sent,
 * as the tests have them.
 */
const table: readonly UpstreamRow[] = [
  {
    // Nothing that waiting mends; OpenAI sends it as 429. Moonshot, DeepSeek and LiteLLM have words of their own.
    codes: [
      "insufficient_quota",
      "billing_hard_limit_reached",
      "billing_not_active",
      "insufficient_balance",
      "insufficient_credits",
      "exceeded_current_quota_error",
      "budget_exceeded",
    ],
    failure: FailureCode.PROVIDER_QUOTA,
  },
  {
    codes: [
      "content_filter",
      "content_policy_violation",
      "responsibleaipolicyviolation",
      "data_inspection_failed",
    ],
    failure: FailureCode.CONTENT_FILTERED,
  },
  {
    codes: [
      "invalid_api_key",
      "incorrect_api_key",
      "invalid_authentication_error",
      "authentication_error",
      "account_deactivated",
      "unauthenticated",
    ],
    failure: FailureCode.PROVIDER_AUTH,
  },
  {
    codes: [
      "context_length_exceeded",
      "too_many_prompt_tokens",
      "string_above_max_length",
      "request_too_large",
    ],
    failure: FailureCode.PROVIDER_BAD_REQUEST,
  },
  {
    // More than the limit of a whole minute never passes, however long one waits: OpenAI.
    statuses: [429],
    beyond: {
      asked: /\brequested[: ]{1,2}([\d,]{1,15})/i,
      limit: /\blimit[: ]{1,2}([\d,]{1,15})/i,
    },
    failure: FailureCode.PROVIDER_BAD_REQUEST,
  },
  {
    // Azure's word for the same: it asks to wait for a day, whatever the deployment's minute allows.
    // Source: https://github.com/vanderschaarlab/climb/issues/1, one prompt on both hosts.
    statuses: [429],
    message: /^request too large\b|exceeded token rate limit.{0,200}retry after 86400 seconds/i,
    failure: FailureCode.PROVIDER_BAD_REQUEST,
  },
  {
    // Where a proxy lost the code. Gemini has the same words for a limit of one minute, and says so.
    statuses: [200, 403, 429],
    message: /exceeded your current quota|insufficient (?:balance|credit|fund)/i,
    waits: false,
    failure: FailureCode.PROVIDER_QUOTA,
  },
  {
    codes: [
      "rate_limit_exceeded",
      "rate_limit_error",
      "rpm_rate_limit_exceeded",
      "token_rate_limit_exceeded",
      "too_many_requests",
      "resource_exhausted",
      // Bedrock, and LiteLLM in front of it.
      "throttlingexception",
      "throttling_error",
    ],
    failure: FailureCode.PROVIDER_RATE_LIMITED,
  },
  {
    // Groq's flex tier is full. Source: https://console.groq.com/docs/errors
    statuses: [498],
    failure: FailureCode.PROVIDER_RATE_LIMITED,
  },
  {
    // Cloudflare's AI Gateway: the host behind it gave no answer.
    statuses: [400],
    codes: ["2005"],
    failure: FailureCode.PROVIDER_UNAVAILABLE,
  },
  {
    statuses: vague,
    codes: [
      "server_is_overloaded",
      "overloaded_error",
      "engine_overloaded_error",
      "service_unavailable_error",
      "unavailable",
      "slow_down",
    ],
    failure: FailureCode.PROVIDER_UNAVAILABLE,
  },
  {
    statuses: [200],
    codes: ["timeout", "request_timeout", "deadline_exceeded"],
    failure: FailureCode.PROVIDER_TIMEOUT,
  },
  {
    statuses: [200],
    codes: ["permission_denied", "permission_error"],
    failure: FailureCode.PROVIDER_AUTH,
  },
  // Messages from here on, in whole phrases: one that quotes a request may hold any single word.
  {
    // Anthropic's spent balance is an invalid request to it.
    statuses: [...vague, 403],
    message: /credit balance is too low/i,
    failure: FailureCode.PROVIDER_QUOTA,
  },
  {
    // OpenRouter's moderation and xAI's guidelines are a 403 that no other key would change.
    statuses: [...vague, 403],
    message:
      /\b(?:is|was|were|been) flagged\b|\bflagged (?:by|as|for)\b|\brequires moderation\b|content (?:management |safety )?polic|\busage (?:guideline|polic)/i,
    failure: FailureCode.CONTENT_FILTERED,
  },
  {
    // xAI and Gemini answer a wrong key with 400; xAI's text may be URL-encoded.
    statuses: vague,
    message: /(?:incorrect|invalid)(?: |%20)api(?: |%20)key|api key not valid/i,
    failure: FailureCode.PROVIDER_AUTH,
  },
  {
    statuses: vague,
    message:
      /\b(?:is|are|currently|temporarily) overloaded\b|^overloaded\b|temporarily unavailable|failed to get response from provider/i,
    failure: FailureCode.PROVIDER_UNAVAILABLE,
  },
  {
    // Words for requests of any kind, so that the message tells more.
    statuses: [200],
    codes: [
      "invalid_request_error",
      "invalid_prompt",
      "invalid_argument",
      "model_not_found",
      "not_found_error",
      "tool_use_failed",
      "badrequesterror",
    ],
    failure: FailureCode.PROVIDER_BAD_REQUEST,
  },
];

/** Far beyond any error's text; what comes after says nothing more. */
const longestMessage = 4096;

/** Failures after which waiting may help, so that how long is worth keeping. */
const worthWaiting: ReadonlySet<FailureCode> = new Set([
  FailureCode.PROVIDER_RATE_LIMITED,
  FailureCode.PROVIDER_QUOTA,
  FailureCode.PROVIDER_UNAVAILABLE,
  FailureCode.PROVIDER_TIMEOUT,
]);

/** The failure code of what an upstream said, and how long it asked to wait. Nothing of its text is kept. */
export function upstreamFailure(error: UpstreamError): {
  readonly code: FailureCode;
  readonly retryAfterMs?: number | undefined;
} {
  const message =
    typeof error.message === "string" ? error.message.slice(0, longestMessage) : undefined;
  const status = statusOf(error);
  const words = [wordOf(error.code), wordOf(error.type)];
  const retryAfterMs = error.retryAfterMs ?? waitIn(message);
  const fits = (row: UpstreamRow): boolean =>
    (row.statuses?.includes(status) ?? true) &&
    (row.codes?.some((code) => words.includes(code)) ?? true) &&
    (row.message?.test(message ?? "") ?? true) &&
    (row.beyond === undefined || isBeyond(row.beyond, message ?? "")) &&
    (row.waits !== false || retryAfterMs === undefined);
  const code = table.find(fits)?.failure ?? failureOfUpstreamStatus(status);
  return worthWaiting.has(code) && retryAfterMs !== undefined ? { code, retryAfterMs } : { code };
}

function wordOf(told: unknown): string {
  return typeof told === "string" || typeof told === "number" ? String(told).toLowerCase() : "";
}

/** Inside a 200 a host hands the real status on as the code: OpenRouter, vLLM, Gemini. */
function statusOf({ status, code }: UpstreamError): number {
  if (status >= 300) return status;
  const told = typeof code === "string" && /^[45]\d\d$/.test(code) ? Number(code) : code;
  return Number.isInteger(told) && (told as number) >= 400 && (told as number) < 600
    ? (told as number)
    : 200;
}

/** An error that names no status is the host's own; a redirect, which nobody follows, is a wrong URL. */
function failureOfUpstreamStatus(status: number): FailureCode {
  return status < 300 ? FailureCode.PROVIDER_UNAVAILABLE : failureOfStatus(status);
}

function isBeyond({ asked, limit }: { asked: RegExp; limit: RegExp }, message: string): boolean {
  const numberOf = (pattern: RegExp): number =>
    Number(pattern.exec(message)?.[1]?.replaceAll(",", "") || Number.NaN);
  return numberOf(asked) > numberOf(limit);
}

/** "Please try again in 1.574s" (OpenAI), "retry after 20 seconds" (Azure), "retry in 34.07s" (Gemini). */
function waitIn(message: string | undefined): number | undefined {
  if (message === undefined) return undefined;
  const [, wait] = /\b(?:try again|retry) (?:in|after) (\d.{0,40})/i.exec(message) ?? [];
  return wait === undefined ? undefined : parseDurationMs(wait);
}
