import type { Usage } from "@sluice/contract";

/** Token counts as they were told; undefined unless both are counts. */
export function parseUsage(inputTokens: unknown, outputTokens: unknown): Usage | undefined {
  return isCount(inputTokens) && isCount(outputTokens) ? { inputTokens, outputTokens } : undefined;
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
