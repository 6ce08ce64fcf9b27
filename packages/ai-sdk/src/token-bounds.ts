import type { ProviderAsk } from "@sluice/contract";
import type { PromptMessage } from "./prompt-message.ts";

/**
 * Tokens that a wire format adds to each message and to the answer's start: 3 and 3 for OpenAI's
 * models, doubled and rounded up for others.
 * Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
 */
const tokensPerMessage = 8;

/** Upper bound of the tokens of what is asked, by an upper bound of the tokens of a text. */
export function askBound(
  tokens: (text: string) => number,
): (
  messages: readonly PromptMessage[],
  ask: Pick<ProviderAsk<unknown>, "schema" | "tools" | "steps">,
) => number {
  // Schemas and tools are the same objects on every call, so each is counted once.
  const once = boundOnce(tokens);
  return (messages, { schema, tools, steps }) => {
    let bound = tokensPerMessage;
    if (schema !== undefined) bound += once(schema);
    for (const tool of tools) bound += tokensPerMessage + once(tool);
    for (const { content } of messages) bound += tokensPerMessage + tokens(content);
    for (const { text, calls, results } of steps) {
      bound += tokensPerMessage + tokens(text);
      for (const call of calls) {
        bound += tokensPerMessage + tokens(call.id) + tokens(call.name) + tokens(call.arguments);
      }
      for (const { id, output } of results) bound += tokensPerMessage + tokens(id) + tokens(output);
    }
    return bound;
  };
}

function boundOnce(tokens: (text: string) => number): (value: object) => number {
  const bounds = new WeakMap<object, number>();
  return (value) => {
    let bound = bounds.get(value);
    if (bound === undefined) {
      bound = tokens(JSON.stringify(value));
      bounds.set(value, bound);
    }
    return bound;
  };
}
