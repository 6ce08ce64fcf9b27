import type { StreamEvent } from "@sluice/contract";
import type { AnswerMeta } from "../protocol.ts";
import { toSseData } from "./sse.ts";

/** One event of a guarded stream as a server-sent event of the JSON protocol. */
export function toSse(event: StreamEvent<unknown, unknown, unknown>, meta?: AnswerMeta): string {
  return toSseData(toWire(event, meta));
}

function toWire(
  event: StreamEvent<unknown, unknown, unknown>,
  meta: AnswerMeta | undefined,
): unknown {
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
    ...(meta === undefined ? {} : { meta }),
  };
}
