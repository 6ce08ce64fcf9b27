import type { LanguageModelV4GenerateResult, LanguageModelV4ToolCall } from "@ai-sdk/provider";
import type { ProviderReply, ToolCall } from "@sluice/contract";
import { failureOfFinish } from "./failure-of-finish.ts";
import { toUsage } from "./to-usage.ts";

/** A model's whole answer. Reasoning, sources and files are no part of what the contract asks for. */
export function fromGenerateResult(result: LanguageModelV4GenerateResult): ProviderReply {
  const { content, structuredOutputText, finishReason } = result;
  const usage = toUsage(result.usage);
  const code = failureOfFinish(finishReason);
  if (code !== undefined) return { ok: false, code, dispatched: true, usage };
  let text = "";
  const toolCalls: ToolCall[] = [];
  for (const part of content) {
    if (part.type === "text") text += part.text;
    // What the upstream ran itself needs no answer of ours.
    else if (part.type === "tool-call" && part.providerExecuted !== true) {
      toolCalls.push(fromToolCall(part));
    }
  }
  return {
    ok: true,
    output: { kind: "text", text: structuredOutputText ?? text },
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
    usage,
  };
}

export function fromToolCall({ toolCallId, toolName, input }: LanguageModelV4ToolCall): ToolCall {
  return { id: toolCallId, name: toolName, arguments: input };
}
