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
  const { status, output } = response;
  const failure = failureOfStatusWord(response);
  if (failure !== undefined && failure !== FailureCode.OUTPUT_TRUNCATED) return failed(failure);
  if (!Array.isArray(output)) return failed(FailureCode.PROVIDER_UNAVAILABLE);
  const items = output.map(objectOf);
  const messages = items.filter(({ type }) => type === "message");
  if (messages.some(isRefusal)) return failed(FailureCode.REFUSED);
  if (status === "incomplete") return failed(FailureCode.OUTPUT_TRUNCATED);
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

/** `completed`, and whatever a host may call it, is an end; the others are none. */
function failureOfStatusWord({ status, incomplete_details }: JsonObject): FailureCode | undefined {
  switch (status) {
    case "incomplete":
      return objectOf(incomplete_details)["reason"] === "content_filter"
        ? FailureCode.CONTENT_FILTERED
        : FailureCode.OUTPUT_TRUNCATED;
    case "failed":
    case "cancelled":
    case "queued":
    case "in_progress":
      return FailureCode.PROVIDER_UNAVAILABLE;
    default:
      return undefined;
  }
}

/** A function call that the application is to run, as an item of the output. */
export function toolCallOf(item: JsonObject): readonly ToolCall[] {
  const name = wordOf(item["name"]);
  if (item["type"] !== "function_call" || name === undefined) return [];
  const id = wordOf(item["call_id"]) ?? wordOf(item["id"]) ?? "call_0";
  return [{ id, name, arguments: wordOf(item["arguments"]) ?? "{}" }];
}
