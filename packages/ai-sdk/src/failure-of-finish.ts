import type { LanguageModelV4FinishReason } from "@ai-sdk/provider";
import { FailureCode } from "@sluice/contract";

const failures: ReadonlyMap<unknown, FailureCode> = new Map([
  ["length", FailureCode.OUTPUT_TRUNCATED],
  ["content-filter", FailureCode.CONTENT_FILTERED],
  ["error", FailureCode.PROVIDER_UNAVAILABLE],
  ["interrupted", FailureCode.STREAM_CUT],
]);

/** Why an answer that ended is not complete; undefined when it is. */
export function failureOfFinish(
  finish: LanguageModelV4FinishReason | undefined,
): FailureCode | undefined {
  return failures.get(finish?.unified);
}

/**
 * The same for a stream. A model that knows no `interrupted` says `other` without a raw reason of a
 * stream whose upstream never said why it ended.
 */
export function failureOfStreamFinish(
  finish: LanguageModelV4FinishReason | undefined,
): FailureCode | undefined {
  if (finish?.unified === "other" && finish.raw === undefined) return FailureCode.STREAM_CUT;
  return failureOfFinish(finish);
}
