import type { Usage } from "@sluice/contract";

/** Token counts as they were told; undefined unless both are counts. */
export function parseUsage(told: {
  readonly inputTokens?: unknown;
  readonly outputTokens?: unknown;
}): Usage | undefined {
  const { inputTokens, outputTokens } = told;
  return isCount(inputTokens) && isCount(outputTokens) ? { inputTokens, outputTokens } : undefined;
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
