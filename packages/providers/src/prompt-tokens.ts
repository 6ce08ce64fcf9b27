import type { AskableSchema, ToolSpec, ToolStep } from "@sluice/contract";
import type { Conversation } from "./prompt.ts";

/**
 * Tokens that the wire format adds to each message and to the answer's start: 3 and 3 for OpenAI's
 * models, doubled and rounded up for others.
 * Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
 */
const tokensPerMessage = 8;
/** The words that a tool's JSON is set in: 7 and 12 once for OpenAI's models, by the same source. */
const tokensPerTool = 24;

/** What is counted: everything of a request that the model reads. */
export interface CountedAsk extends Conversation {
  readonly schema: AskableSchema | undefined;
  readonly tools: readonly ToolSpec[];
}

/** Bounds the tokens of a request by those of its texts. */
export function promptTokens(tokens: (text: string) => number): (ask: CountedAsk) => number {
  const ofJson = countOnce(tokens);
  return ({ messages, steps, schema, tools }) => {
    let bound = tokensPerMessage;
    if (schema !== undefined) bound += ofJson(schema);
    for (const tool of tools) bound += tokensPerTool + ofJson(tool);
    for (const { content } of messages) bound += tokensPerMessage + tokens(content);
    for (const step of steps) bound += tokensOfStep(step, tokens);
    return bound;
  };
}

function tokensOfStep(
  { text, calls, results }: ToolStep,
  tokens: (text: string) => number,
): number {
  let bound = tokensPerMessage + tokens(text);
  for (const { id, name, arguments: args } of calls) {
    bound += tokensPerMessage + tokens(id) + tokens(name) + tokens(args);
  }
  for (const { id, output } of results) bound += tokensPerMessage + tokens(id) + tokens(output);
  return bound;
}

/** A schema or a tool is the same object on every call, so its tokens are counted once. */
function countOnce(tokens: (text: string) => number): (value: object) => number {
  const counts = new WeakMap<object, number>();
  return (value) => {
    let count = counts.get(value);
    if (count === undefined) {
      count = tokens(JSON.stringify(value));
      counts.set(value, count);
    }
    return count;
  };
}
