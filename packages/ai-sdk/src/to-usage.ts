import type { LanguageModelV4Usage } from "@ai-sdk/provider";
import type { Usage } from "@sluice/contract";

/** The totals, where both were told; a model made by hand may leave anything out. */
export function toUsage(told: LanguageModelV4Usage | undefined): Usage | undefined {
  const inputTokens = told?.inputTokens?.total;
  const outputTokens = told?.outputTokens?.total;
  return isCount(inputTokens) && isCount(outputTokens) ? { inputTokens, outputTokens } : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
