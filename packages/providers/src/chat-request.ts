import type { AskableSchema, ToolSpec, ToolStep } from "@sluice/contract";
import type { Conversation } from "./prompt.ts";

/** What differs between hosts in the body of a request. */
export interface RequestDialect {
  readonly maxTokensField: "max_completion_tokens" | "max_tokens";
  /** How the host is asked for the contract's schema; `none` leaves it to the prompt. */
  readonly structuredOutput: "json_schema" | "json_object" | "none";
  /** Ask for usage at the end of a stream. */
  readonly streamUsage: boolean;
}

/** What one request asks, of either API. */
export interface RequestAsk extends Conversation {
  readonly model: string;
  readonly schema: AskableSchema | undefined;
  readonly tools: readonly ToolSpec[];
  readonly maxOutputTokens: number | undefined;
  readonly stream: boolean;
}

/** Source: https://platform.openai.com/docs/api-reference/chat/create */
export function chatRequest(ask: RequestAsk, dialect: RequestDialect): object {
  const { model, messages, steps, schema, tools, maxOutputTokens, stream } = ask;
  const { maxTokensField, structuredOutput, streamUsage } = dialect;
  const strict = structuredOutput === "json_schema" ? { strict: true } : {};
  return {
    model,
    messages: [...messages, ...steps.flatMap(messagesOfStep)],
    ...(schema === undefined || structuredOutput === "none"
      ? {}
      : { response_format: responseFormat(schema, structuredOutput) }),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ name, description, parameters }) => ({
            type: "function",
            function: { name, description, parameters, ...strict },
          })),
        }),
    ...(maxOutputTokens === undefined ? {} : { [maxTokensField]: maxOutputTokens }),
    ...(stream
      ? { stream: true, ...(streamUsage ? { stream_options: { include_usage: true } } : {}) }
      : {}),
  };
}

function responseFormat(schema: AskableSchema, type: "json_schema" | "json_object"): object {
  return type === "json_object"
    ? { type }
    : { type, json_schema: { name: "answer", strict: true, schema } };
}

function messagesOfStep({ text, calls, results }: ToolStep): readonly object[] {
  return [
    {
      role: "assistant",
      content: text === "" ? null : text,
      tool_calls: calls.map(({ id, name, arguments: args }) => ({
        id,
        type: "function",
        function: { name, arguments: args },
      })),
    },
    ...results.map(({ id, output }) => ({ role: "tool", tool_call_id: id, content: output })),
  ];
}
