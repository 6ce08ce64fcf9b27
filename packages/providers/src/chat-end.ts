import { FailureCode, type ToolCall } from "@sluice/contract";
import { failureOfFinish, promisesCalls } from "./finish-reason.ts";
import type { ToolFragments } from "./tool-fragments.ts";

/** What is known of a Chat Completions answer at its end, whole or streamed. */
export interface ChatAnswer {
  readonly finish: string | undefined;
  readonly refused: boolean;
  /** Content was told, be it empty. */
  readonly hasText: boolean;
  readonly tools: ToolFragments;
}

/** The calls of an answer that is complete, or why it is no good. One rule for both ways of answering. */
export function chatEnd({
  finish,
  refused,
  hasText,
  tools,
}: ChatAnswer): FailureCode | readonly ToolCall[] {
  const failure = failureOfFinish(finish, refused);
  if (failure !== undefined) return failure;
  const calls = tools.calls();
  // A call that nobody can make is no answer: without it the text would pass for all there is.
  if (calls === undefined || (calls.length === 0 && promisesCalls(finish))) {
    return FailureCode.PROVIDER_UNAVAILABLE;
  }
  return calls.length === 0 && !hasText ? FailureCode.OUTPUT_NOT_JSON : calls;
}
