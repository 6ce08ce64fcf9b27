import { FailureCode } from "@sluice/contract";

/** The ways in which hosts say that an answer came to its own end; lower-case, with underscores. */
const ends: ReadonlySet<string> = new Set([
  "stop",
  "tool_calls",
  "tool_call",
  "tool_use",
  "function_call",
  "eos",
  "eos_token",
  "end_turn",
  "stop_sequence",
  "complete",
  "completed",
  "done",
  "end",
  "normal",
]);

/**
 * Ends other than the answer's own. Sources:
 * https://platform.openai.com/docs/api-reference/chat/object#chat/object-choices,
 * https://docs.mistral.ai/api (model_length), https://docs.z.ai/api-reference/llm/chat-completion (sensitive,
 * model_context_window_exceeded), https://ai.google.dev/api/generate-content#FinishReason,
 * https://docs.anthropic.com/en/api/handling-stop-reasons,
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
 */
const failures: ReadonlyMap<string, FailureCode> = new Map([
  ["length", FailureCode.OUTPUT_TRUNCATED],
  ["max_tokens", FailureCode.OUTPUT_TRUNCATED],
  ["max_output_tokens", FailureCode.OUTPUT_TRUNCATED],
  ["max_length", FailureCode.OUTPUT_TRUNCATED],
  ["token_limit", FailureCode.OUTPUT_TRUNCATED],
  ["model_length", FailureCode.OUTPUT_TRUNCATED],
  ["model_context_window_exceeded", FailureCode.OUTPUT_TRUNCATED],
  ["content_filter", FailureCode.CONTENT_FILTERED],
  ["content_filtered", FailureCode.CONTENT_FILTERED],
  ["guardrail_intervened", FailureCode.CONTENT_FILTERED],
  ["safety", FailureCode.CONTENT_FILTERED],
  ["image_safety", FailureCode.CONTENT_FILTERED],
  ["recitation", FailureCode.CONTENT_FILTERED],
  ["blocklist", FailureCode.CONTENT_FILTERED],
  ["prohibited_content", FailureCode.CONTENT_FILTERED],
  ["spii", FailureCode.CONTENT_FILTERED],
  ["sensitive", FailureCode.CONTENT_FILTERED],
  ["refusal", FailureCode.REFUSED],
]);

/** Words of hosts that have no end to tell yet. */
const absent: ReadonlySet<string> = new Set(["", "null", "none"]);

/** A finish reason as one word; undefined where none is told. */
export function finishOf(told: unknown): string | undefined {
  if (told === undefined || told === null) return undefined;
  // What is no word is none that anybody knows.
  const word =
    typeof told === "string" ? told.trim().toLowerCase().replaceAll("-", "_") : typeof told;
  return absent.has(word) ? undefined : word;
}

/**
 * The failure that a finish reason tells; a refusal stands before all but a filter and an error. A word
 * that nobody knows (`abort`, `cancelled`, one that is new) is none of the ends: an answer that may lack
 * its rest must not pass for a whole one.
 */
export function failureOfFinish(
  finish: string | undefined,
  refused: boolean,
): FailureCode | undefined {
  const failure =
    finish === undefined || ends.has(finish)
      ? undefined
      : (failures.get(finish) ?? FailureCode.PROVIDER_UNAVAILABLE);
  return refused && (failure === undefined || failure === FailureCode.OUTPUT_TRUNCATED)
    ? FailureCode.REFUSED
    : failure;
}

const callEnds: ReadonlySet<string> = new Set([
  "tool_calls",
  "tool_call",
  "tool_use",
  "function_call",
]);

/** True for an end that promises a call of a tool. */
export function promisesCalls(finish: string | undefined): boolean {
  return finish !== undefined && callEnds.has(finish);
}
