import { FailureCode, type ProviderReply } from "@sluice/contract";
import { chatEnd } from "./chat-end.ts";
import { finishOf } from "./finish-reason.ts";
import { choicesOf, isFirstChoice } from "./answer-choices.ts";
import { fromErrorBody } from "./from-error-body.ts";
import { fromUsage } from "./from-usage.ts";
import { isRefusal, textOfContent } from "./message-content.ts";
import { isPresent, objectOf } from "./narrow-json.ts";
import { toolFragments } from "./tool-fragments.ts";

/**
 * A Chat Completions answer as OpenAI-compatible hosts really send it: any member may be missing, null,
 * or of another type. OpenAI's own document rejects real answers of OpenAI's.
 * Source: https://platform.openai.com/docs/api-reference/chat/object
 */
export function fromChatCompletion(answer: unknown): ProviderReply {
  const completion = objectOf(answer);
  const usage = fromUsage(completion["usage"]);
  const failed = (code: FailureCode): ProviderReply => ({
    ok: false,
    code,
    dispatched: true,
    usage,
  });
  const choices = choicesOf(completion["choices"]);
  const choice = objectOf(choices.find(isFirstChoice) ?? choices[0]);
  // OpenRouter and others put an error of the host behind them into a 200.
  const error = [completion, choice].find((holder) => isPresent(holder["error"]));
  if (error !== undefined) return fromErrorBody(error, { status: 200, usage });
  if (Object.keys(choice).length === 0) return failed(FailureCode.PROVIDER_UNAVAILABLE);
  const message = objectOf(choice["message"]);
  // Legacy completions have their text beside the message that they lack.
  const text = textOfContent(choice["message"] === undefined ? choice["text"] : message["content"]);
  const tools = toolFragments();
  tools.take(message);
  const end = chatEnd({
    finish: finishOf(choice["finish_reason"]),
    refused: isRefusal(message),
    hasText: text !== undefined,
    tools,
  });
  if (typeof end === "string") return failed(end);
  return {
    ok: true,
    output: { kind: "text", text: text ?? "" },
    ...(end.length === 0 ? {} : { toolCalls: end }),
    usage,
  };
}
