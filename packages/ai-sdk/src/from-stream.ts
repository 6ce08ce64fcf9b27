import type { LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { FailureCode, type ProviderEvent } from "@sluice/contract";
import { failureOfErrorPart, failureOfRead } from "./failure-of-error.ts";
import { failureOfStreamFinish } from "./failure-of-finish.ts";
import { fromToolCall } from "./from-generate-result.ts";
import { toUsage } from "./to-usage.ts";

const progress: ProviderEvent = { type: "progress" };

/**
 * A model's stream, one part at a time, up to its terminal event; a stream that breaks off or closes
 * without a `finish` was cut. It never throws. The stream is cancelled when the loop is left or `signal`
 * aborts.
 */
export async function* fromStream(
  stream: ReadableStream<LanguageModelV4StreamPart>,
  signal: AbortSignal,
): AsyncGenerator<ProviderEvent, void> {
  const reader = stream.getReader();
  // Also ends a read that waits for a model that ignores the signal.
  const cancel = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    for (;;) {
      const { done, value: part } = await reader.read();
      if (done) break;
      if (part.type === "finish") {
        yield* fromFinish(part);
        return;
      }
      const event = fromPart(part);
      yield event;
      if (event.type === "failed") return;
    }
    const code = signal.aborted ? FailureCode.CLIENT_ABORTED : FailureCode.STREAM_CUT;
    yield { type: "failed", failure: { ok: false, code, dispatched: true } };
  } catch (error) {
    yield { type: "failed", failure: failureOfRead(error, signal) };
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}

function fromPart(part: Exclude<LanguageModelV4StreamPart, { type: "finish" }>): ProviderEvent {
  switch (part.type) {
    case "text-delta":
      return part.delta === "" ? progress : { type: "text-delta", text: part.delta };
    case "reasoning-delta":
      return part.delta === "" ? progress : { type: "reasoning-delta", text: part.delta };
    case "tool-call":
      return part.providerExecuted === true
        ? progress
        : { type: "tool-call", call: fromToolCall(part) };
    case "error":
      return { type: "failed", failure: failureOfErrorPart(part.error) };
    default:
      return progress;
  }
}

function* fromFinish(
  part: Extract<LanguageModelV4StreamPart, { type: "finish" }>,
): Generator<ProviderEvent, void> {
  const usage = toUsage(part.usage);
  if (usage !== undefined) yield { type: "usage", usage };
  const code = failureOfStreamFinish(part.finishReason);
  yield code === undefined
    ? { type: "finish" }
    : { type: "failed", failure: { ok: false, code, dispatched: true, usage } };
}
