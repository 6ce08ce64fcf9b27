import { FailureCode, type ProviderReply, type ToolCall } from "@sluice/contract";
import { fromErrorBody } from "./from-error-body.ts";
import { fromUsage } from "./from-usage.ts";
import { isRefusal, textOfContent } from "./message-content.ts";
import { isPresent, objectOf, wordOf, type JsonObject } from "./narrow-json.ts";

/**
 * An answer of the Responses API; also what its stream ends with. Tools that ran on the host's side are
 * no calls of ours.
 * Source: https://platform.openai.com/docs/api-reference/responses/object
 */
export function fromResponse(answer: unknown): ProviderReply {
  const response = objectOf(answer);
  const usage = fromUsage(response["usage"]);
  const failed = (code: FailureCode): ProviderReply => ({
    ok: false,
    code,
    dispatched: true,
    usage,
  });
  if (isPresent(response["error"])) return fromErrorBody(response, { status: 200, usage });
  const { output } = response;
  const failure = failureOfStatusWord(response);
  if (failure !== undefined && failure !== FailureCode.OUTPUT_TRUNCATED) return failed(failure);
  if (!Array.isArray(output)) return failed(failure ?? FailureCode.PROVIDER_UNAVAILABLE);
  const items = output.map(objectOf);
  const messages = items.filter(({ type }) => type === "message");
  if (messages.some(isRefusal)) return failed(FailureCode.REFUSED);
  if (failure !== undefined) return failed(failure);
  if (items.some(isNameless)) return failed(FailureCode.PROVIDER_UNAVAILABLE);
  const toolCalls = items.flatMap(toolCallOf);
  const text = messages.map(({ content }) => textOfContent(content) ?? "").join("");
  if (messages.length === 0 && toolCalls.length === 0) return failed(FailureCode.OUTPUT_NOT_JSON);
  return {
    ok: true,
    output: { kind: "text", text },
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
    usage,
  };
}

/** `completed` is an end, and so is no status at all; the others are none, known or not. */
export function failureOfStatusWord({
  status,
  incomplete_details,
}: JsonObject): FailureCode | undefined {
  if (!isPresent(status) || status === "completed") return undefined;
  if (status !== "incomplete") return FailureCode.PROVIDER_UNAVAILABLE;
  return objectOf(incomplete_details)["reason"] === "content_filter"
    ? FailureCode.CONTENT_FILTERED
    : FailureCode.OUTPUT_TRUNCATED;
}

/** A function call that nobody can make. */
export function isNameless({ type, name }: JsonObject): boolean {
  return type === "function_call" && wordOf(name) === undefined;
}

/** A function call that the application is to run, as an item of the output; without an id it has an empty one. */
export function toolCallOf(item: JsonObject): readonly ToolCall[] {
  const name = wordOf(item["name"]);
  if (item["type"] !== "function_call" || name === undefined) return [];
  const id = wordOf(item["call_id"]) ?? wordOf(item["id"]) ?? "";
  return [{ id, name, arguments: wordOf(item["arguments"]) ?? "{}" }];
}
