import type {
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
} from "@ai-sdk/provider";

export function usageOf(
  input: number | undefined,
  output: number | undefined,
): LanguageModelV4Usage {
  return {
    inputTokens: { total: input, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: output, text: undefined, reasoning: undefined },
  };
}

export function finishOf(
  unified: LanguageModelV4FinishReason["unified"],
  raw: string | undefined = unified,
): LanguageModelV4FinishReason {
  return { unified, raw };
}

export function resultOf(
  content: LanguageModelV4Content[],
  more: Partial<LanguageModelV4GenerateResult> = {},
): LanguageModelV4GenerateResult {
  return {
    content,
    finishReason: finishOf("stop"),
    usage: usageOf(12, 5),
    warnings: [],
    ...more,
  };
}

export const textParts: readonly LanguageModelV4StreamPart[] = [
  { type: "stream-start", warnings: [] },
  { type: "text-start", id: "0" },
  { type: "text-delta", id: "0", delta: "an " },
  { type: "text-delta", id: "0", delta: "answer" },
];

export const finishPart: Extract<LanguageModelV4StreamPart, { type: "finish" }> = {
  type: "finish",
  finishReason: finishOf("stop"),
  usage: usageOf(12, 5),
};

export const wholeParts: readonly LanguageModelV4StreamPart[] = [
  ...textParts,
  { type: "text-end", id: "0" },
  finishPart,
];
