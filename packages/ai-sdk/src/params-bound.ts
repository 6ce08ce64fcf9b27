import type {
  LanguageModelV4CallOptions,
  LanguageModelV4Message,
  LanguageModelV4ToolResultPart,
} from "@ai-sdk/provider";

type Part = Exclude<LanguageModelV4Message["content"], string>[number];

/** For what wire formats add to messages, parts, tools and a schema, generously. */
const tokensPerPart = 8;
const tokensPerCall = 64;

/**
 * Upper bound of the tokens of a call's prompt, by an upper bound of the tokens of a text. `NaN`, which
 * a budget takes for not known, where an image, a document or a tool of the provider's is part of it:
 * how those are counted is each provider's own.
 */
export function paramsBound(
  { prompt, tools = [], responseFormat }: LanguageModelV4CallOptions,
  tokens: (text: string) => number,
): number {
  const boundOf = (part: Part): number => {
    if (part.type === "text" || part.type === "reasoning") return tokens(part.text);
    if (part.type === "file") {
      return part.data.type === "text" ? tokens(part.data.text) : Number.NaN;
    }
    if (part.type === "reasoning-file") return Number.NaN;
    if (part.type === "tool-result" && holdsFile(part)) return Number.NaN;
    return tokens(JSON.stringify(part));
  };

  let bound = tokensPerCall;
  for (const { content } of prompt) {
    bound += tokensPerPart;
    if (typeof content === "string") bound += tokens(content);
    else for (const part of content) bound += tokensPerPart + boundOf(part);
  }
  for (const tool of tools) {
    bound += tool.type === "function" ? tokensPerPart + tokens(JSON.stringify(tool)) : Number.NaN;
  }
  if (responseFormat?.type === "json") bound += tokens(JSON.stringify(responseFormat));
  return bound;
}

function holdsFile({ output }: LanguageModelV4ToolResultPart): boolean {
  return output.type === "content" && output.value.some(({ type }) => type === "file");
}
