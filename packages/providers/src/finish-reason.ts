import { FailureCode } from "@sluice/contract";

/**
 * Reasons for which an answer ended other than by its own end. Any other one, known or not, is an end:
 * `stop`, `tool_calls`, `function_call`, Together's `eos`.
 * Sources: https://platform.openai.com/docs/api-reference/chat/object#chat/object-choices,
 * https://docs.mistral.ai/api (model_length, error), https://api-docs.deepseek.com/api/create-chat-completion
 * (insufficient_system_resource), https://docs.z.ai/api-reference/llm/chat-completion (sensitive,
 * model_context_window_exceeded, network_error)
 */
const failures: ReadonlyMap<unknown, FailureCode> = new Map([
  ["length", FailureCode.OUTPUT_TRUNCATED],
  ["max_tokens", FailureCode.OUTPUT_TRUNCATED],
  ["model_length", FailureCode.OUTPUT_TRUNCATED],
  ["model_context_window_exceeded", FailureCode.OUTPUT_TRUNCATED],
  ["content_filter", FailureCode.CONTENT_FILTERED],
  ["sensitive", FailureCode.CONTENT_FILTERED],
  ["error", FailureCode.PROVIDER_UNAVAILABLE],
  ["network_error", FailureCode.PROVIDER_UNAVAILABLE],
  ["insufficient_system_resource", FailureCode.PROVIDER_UNAVAILABLE],
]);

/** The failure that a finish reason tells; a refusal stands before all but a filter and an error. */
export function failureOfFinish(finish: unknown, refused: boolean): FailureCode | undefined {
  const failure = failures.get(finish);
  return refused && (failure === undefined || failure === FailureCode.OUTPUT_TRUNCATED)
    ? FailureCode.REFUSED
    : failure;
}
