import type {
  LanguageModelV4CallOptions,
  LanguageModelV4FunctionTool,
  LanguageModelV4Message,
} from "@ai-sdk/provider";
import type { ProviderCall, ToolSpec, ToolStep } from "@sluice/contract";
import type { PromptMessage } from "./prompt-message.ts";

/** What is the same on every call of a provider. */
export type FixedCallOptions = Pick<LanguageModelV4CallOptions, "headers" | "providerOptions">;

/** One call of the guard in the AI SDK's words. */
export function toCallOptions(
  messages: readonly PromptMessage[],
  call: Omit<ProviderCall<unknown>, "input">,
  { headers, providerOptions }: FixedCallOptions,
): LanguageModelV4CallOptions {
  const { schema, tools, steps, maxOutputTokens, signal, idempotencyKey } = call;
  return {
    prompt: [...messages.map(toMessage), ...steps.flatMap(toTurn)],
    abortSignal: signal,
    headers: { ...headers, "Idempotency-Key": idempotencyKey },
    ...(providerOptions === undefined ? {} : { providerOptions }),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    ...(schema === undefined
      ? {}
      : { responseFormat: { type: "json", schema: schema, name: "answer" } }),
    ...(tools.length === 0 ? {} : { tools: tools.map(toTool), toolChoice: { type: "auto" } }),
  };
}

function toMessage({ role, content }: PromptMessage): LanguageModelV4Message {
  return role === "system"
    ? { role, content }
    : { role, content: [{ type: "text", text: content }] };
}

function toTool({ name, description, parameters }: ToolSpec): LanguageModelV4FunctionTool {
  return {
    type: "function",
    name,
    description,
    inputSchema: parameters,
    strict: true,
  };
}

/** The assistant's turn and what its tools gave. */
function toTurn({ text, calls, results }: ToolStep): LanguageModelV4Message[] {
  const names = new Map(calls.map(({ id, name }) => [id, name]));
  return [
    {
      role: "assistant",
      content: [
        // Some hosts refuse an empty text.
        ...(text === "" ? [] : [{ type: "text", text } as const]),
        ...calls.map(
          ({ id, name, arguments: input }) =>
            ({
              type: "tool-call",
              toolCallId: id,
              toolName: name,
              input: parseArguments(input),
            }) as const,
        ),
      ],
    },
    {
      role: "tool",
      content: results.map(({ id, output }) => ({
        type: "tool-result",
        toolCallId: id,
        toolName: names.get(id) ?? "",
        output: { type: "text", value: output },
      })),
    },
  ];
}

/** A model may write arguments that are no JSON; they go back to it as it wrote them. */
function parseArguments(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
