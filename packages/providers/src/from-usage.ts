import type { Usage } from "@sluice/contract";
import { objectOf } from "./narrow-json.ts";
import { isCount, parseUsage } from "./parse-usage.ts";

/**
 * The usage of an answer, of Chat Completions or of Responses; undefined where it isn't told. No answer
 * costs nothing: two zeros stand for what the host doesn't know.
 *
 * xAI and Gemini leave reasoning out of `completion_tokens` but not out of the total, and charge for it;
 * what the total has beyond the two counts as output, the dearer of them.
 * Sources: https://platform.openai.com/docs/api-reference/chat/object#chat/object-usage and
 * https://platform.openai.com/docs/api-reference/responses/object#responses/object-usage
 */
export function fromUsage(value: unknown): Usage | undefined {
  const told = objectOf(value);
  const usage = parseUsage({
    inputTokens: told["prompt_tokens"] ?? told["input_tokens"],
    outputTokens: told["completion_tokens"] ?? told["output_tokens"],
  });
  if (usage === undefined) return undefined;
  const total = told["total_tokens"];
  const { inputTokens, outputTokens } = usage;
  const beyond = isCount(total) ? Math.max(0, total - inputTokens - outputTokens) : 0;
  const counted = { inputTokens, outputTokens: outputTokens + beyond };
  return counted.inputTokens + counted.outputTokens === 0 ? undefined : counted;
}

/** What is told of one answer only grows: a later, smaller count is another's or a placeholder. */
export function largerUsage(one: Usage | undefined, other: Usage | undefined): Usage | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return {
    inputTokens: Math.max(one.inputTokens, other.inputTokens),
    outputTokens: Math.max(one.outputTokens, other.outputTokens),
  };
}
