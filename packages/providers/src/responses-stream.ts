import { FailureCode, type ToolCall, type Usage } from "@sluice/contract";
import type { Emit, FrameReader } from "./frame-reader.ts";
import { failureOfStatusWord, fromResponse, isNameless, toolCallOf } from "./from-response.ts";
import { fromUsage, largerUsage } from "./from-usage.ts";
import { isPresent, objectOf, wordOf, type JsonObject } from "./narrow-json.ts";

/**
 * A stream of the Responses API. It is complete only by `response.completed`; every other event of its
 * many is content, or a sign of life.
 * Source: https://platform.openai.com/docs/api-reference/responses-streaming
 */
export function responsesStream(): FrameReader {
  let usage: Usage | undefined;
  let refused = false;
  let hadText = false;
  /** A call came that nobody can make. */
  let nameless = false;
  let hadReasoning = false;
  const calls: ToolCall[] = [];

  function count(response: unknown, emit: Emit): void {
    const now = fromUsage(objectOf(response)["usage"]);
    if (now === undefined) return;
    usage = largerUsage(usage, now) ?? now;
    emit({ type: "usage", usage });
  }

  function failed(code: FailureCode, emit: Emit): void {
    emit({ type: "failed", failure: { ok: false, code, dispatched: true, usage } });
  }

  /** What streamed stands; the answer repeated in the last frame fills in what a host did not stream. */
  function completed(response: JsonObject, emit: Emit): void {
    const reply = fromResponse(response);
    const isTold = failureOfStatusWord(response) !== undefined || isPresent(response["error"]);
    const isEmpty = !reply.ok && reply.code === FailureCode.OUTPUT_NOT_JSON;
    const isRepeated = Array.isArray(response["output"]);
    const isNothing = !hadText && calls.length === 0 && !reply.ok;
    if (refused) failed(FailureCode.REFUSED, emit);
    else if (!reply.ok && (isTold || (isRepeated && !isEmpty))) {
      emit({ type: "failed", failure: reply });
    } else if (nameless) failed(FailureCode.PROVIDER_UNAVAILABLE, emit);
    else if (isNothing) failed(FailureCode.OUTPUT_NOT_JSON, emit);
    else {
      if (!hadText && reply.ok && reply.output.kind === "text" && reply.output.text !== "") {
        emit({ type: "text-delta", text: reply.output.text });
      }
      const whole = calls.length > 0 || !reply.ok ? calls : (reply.toolCalls ?? []);
      for (const call of whole) emit({ type: "tool-call", call });
      emit({ type: "finish" });
    }
  }

  return {
    get usage() {
      return usage;
    },
    frame(frame, emit) {
      switch (frame["type"]) {
        case "response.output_text.delta": {
          const text = wordOf(frame["delta"]);
          if (text === undefined) return;
          hadText = true;
          emit({ type: "text-delta", text });
          return;
        }
        case "response.reasoning_text.delta":
        case "response.reasoning_summary_text.delta": {
          const text = wordOf(frame["delta"]);
          if (text === undefined) return;
          hadReasoning = true;
          emit({ type: "reasoning-delta", text });
          return;
        }
        case "response.reasoning_summary_part.added":
          // Each part is a paragraph of its own.
          if (hadReasoning) emit({ type: "reasoning-delta", text: "\n\n" });
          return;
        case "response.refusal.delta":
        case "response.refusal.done":
          refused = true;
          return;
        case "response.output_item.done":
          nameless ||= isNameless(objectOf(frame["item"]));
          calls.push(...toolCallOf(objectOf(frame["item"])));
          return;
        case "response.completed":
          count(frame["response"], emit);
          completed(objectOf(frame["response"]), emit);
          return;
        case "response.incomplete":
        case "response.failed":
        case "response.cancelled": {
          count(frame["response"], emit);
          const response = objectOf(frame["response"]);
          const status = frame["type"].slice("response.".length);
          const reply = fromResponse({ ...response, status });
          if (reply.ok) failed(FailureCode.PROVIDER_UNAVAILABLE, emit);
          else if (refused && status === "incomplete") failed(FailureCode.REFUSED, emit);
          else emit({ type: "failed", failure: { ...reply, usage } });
        }
      }
    },
    end(_told, emit) {
      failed(FailureCode.STREAM_CUT, emit);
    },
  };
}
