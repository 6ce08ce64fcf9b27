import type { StreamEvent } from "@sluice/contract";

/**
 * One event of a guarded stream as a server-sent event: a line of JSON, so that no text can end the event
 * or forge another. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function toSse(event: StreamEvent<unknown, unknown, unknown>): string {
  return `data: ${JSON.stringify(toWire(event))}\n\n`;
}

function toWire(event: StreamEvent<unknown, unknown, unknown>): unknown {
  if (event.type === "usage") {
    const { inputTokens, outputTokens } = event.usage;
    return { type: "usage", input_tokens: inputTokens, output_tokens: outputTokens };
  }
  if (event.type !== "finish" && event.type !== "failed") return event;
  const { outcome } = event;
  return {
    type: event.type,
    status: outcome.status,
    path: outcome.path,
    ...(outcome.status === "FAILED" ? { code: outcome.failure.code } : {}),
    ...(outcome.status === "REJECTED" ? { reason: outcome.reason } : { value: outcome.value }),
  };
}
