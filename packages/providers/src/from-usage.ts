import type { Usage } from "@sluice/contract";
import { objectOf } from "./narrow-json.ts";
import { isCount, parseUsage } from "./parse-usage.ts";

/**
 * The usage of an answer, of Chat Completions or of Responses; undefined where it isn't told.
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
  const total = told["total_tokens"];
  if (usage === undefined || !isCount(total)) return usage;
  const beyond = Math.max(0, total - usage.inputTokens - usage.outputTokens);
  return { ...usage, outputTokens: usage.outputTokens + beyond };
}
