import { FailureCode, type ProviderReply, type Usage } from "@sluice/contract";
import { failureOfError } from "./failure-of-error.ts";
import { isCount, parseUsage } from "./parse-usage.ts";

/**
 * A Chat Completions answer as OpenAI-compatible hosts really send it: any member may be missing, null,
 * or of another type.
 * Source: https://platform.openai.com/docs/api-reference/chat/object
 */
export function fromChatCompletion(answer: unknown): ProviderReply {
  const completion = objectOf(answer);
  const usage = usageOf(completion["usage"]);
  const failed = (code: FailureCode): ProviderReply => ({
    ok: false,
    code,
    dispatched: true,
    usage,
  });
  const { choices } = completion;
  const choice = Array.isArray(choices) ? objectOf(choices[0]) : {};
  const message = objectOf(choice["message"]);
  const finish = choice["finish_reason"];
  // OpenRouter and others put an error of the host behind them into a 200.
  const error = completion["error"] ?? choice["error"];
  if (isPresent(error)) return failed(failureOfInnerError(error));
  if (finish === "error" || Object.keys(choice).length === 0) {
    return failed(FailureCode.PROVIDER_UNAVAILABLE);
  }
  if (finish === "content_filter") return failed(FailureCode.CONTENT_FILTERED);
  if (isRefusal(message)) return failed(FailureCode.REFUSED);
  if (finish === "length") return failed(FailureCode.OUTPUT_TRUNCATED);
  const text = textOf(message["content"]);
  if (text === undefined) return failed(FailureCode.OUTPUT_NOT_JSON);
  return { ok: true, output: { kind: "text", text }, usage };
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "" && value !== false;
}

/** The status that a host hands on as the error's code; without one it is the host's own failure. */
function failureOfInnerError(error: unknown): FailureCode {
  const { code, type } = objectOf(error);
  const isStatus = Number.isInteger(code) && Number(code) >= 400 && Number(code) < 600;
  return failureOfError(isStatus ? Number(code) : 502, { code, type });
}

function isRefusal({ refusal, content }: Readonly<Record<string, unknown>>): boolean {
  if (typeof refusal === "string" && refusal !== "") return true;
  return Array.isArray(content) && content.some((part) => objectOf(part)["type"] === "refusal");
}

/** A string, or an array of parts of which the text ones count. */
function textOf(content: unknown): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  return content
    .map((part) => objectOf(part)["text"])
    .filter((text) => typeof text === "string")
    .join("");
}

/**
 * xAI and Gemini leave reasoning out of `completion_tokens` but not out of the total, and charge for it;
 * what the total has beyond the two counts as output, the dearer of them.
 */
function usageOf(value: unknown): Usage | undefined {
  const { prompt_tokens, completion_tokens, total_tokens } = objectOf(value);
  const usage = parseUsage({ inputTokens: prompt_tokens, outputTokens: completion_tokens });
  if (usage === undefined || !isCount(total_tokens)) return usage;
  const beyond = Math.max(0, total_tokens - usage.inputTokens - usage.outputTokens);
  return { ...usage, outputTokens: usage.outputTokens + beyond };
}
