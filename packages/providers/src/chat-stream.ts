import { FailureCode, type Usage } from "@sluice/contract";
import { failureOfFinish } from "./finish-reason.ts";
import type { Emit, FrameReader } from "./frame-reader.ts";
import { fromErrorBody } from "./from-error-body.ts";
import { fromUsage } from "./from-usage.ts";
import { isRefusal, textOfContent } from "./message-content.ts";
import { isPresent, listOf, objectOf, wordOf, type JsonObject } from "./narrow-json.ts";
import { toolFragments } from "./tool-fragments.ts";

/**
 * A stream of Chat Completions chunks, of which the first choice counts. It is complete when a finish
 * reason arrived: content before it is whole, and usage may follow. `[DONE]` stands in for the finish
 * reason only after the usage of the whole answer (Snowflake sends that): a proxy whose upstream was cut
 * sends `[DONE]` too, but no such usage.
 * Source: https://platform.openai.com/docs/api-reference/chat-streaming/streaming
 */
export function chatStream(): FrameReader {
  let usage: Usage | undefined;
  let finish: string | undefined;
  let refused = false;
  let began = false;
  /** Usage was told and no content came after it. */
  let counted = false;
  const tools = toolFragments();

  const failed = (code: FailureCode, emit: Emit): void =>
    emit({ type: "failed", failure: { ok: false, code, dispatched: true, usage } });

  function content(choice: JsonObject, emit: Emit): boolean {
    // Some hosts send the message so far beside the delta, some a message instead of one.
    const delta = objectOf(choice["delta"] ?? choice["message"]);
    tools.take(delta);
    refused ||= isRefusal(delta);
    const bare = choice["delta"] === undefined && choice["message"] === undefined;
    const text = textOfContent(bare ? choice["text"] : delta["content"]);
    if (text === undefined || text === "") return isPresent(delta["tool_calls"]);
    emit({ type: "text-delta", text });
    return true;
  }

  function count(told: unknown, emit: Emit): boolean {
    if (typeof told !== "object" || told === null) return false;
    const now = fromUsage(told);
    if (now === undefined) return false;
    if (now.inputTokens !== usage?.inputTokens || now.outputTokens !== usage.outputTokens) {
      usage = now;
      // At once, so that it is known also where the stream is left early.
      emit({ type: "usage", usage });
    }
    return true;
  }

  return {
    get usage() {
      return usage;
    },
    frame(frame, emit) {
      const choice = objectOf(listOf(frame["choices"]).find(isFirst));
      const groq = objectOf(frame["x_groq"]);
      const holder = isPresent(choice["error"]) ? choice : isPresent(groq["error"]) ? groq : null;
      if (holder !== null) {
        count(frame["usage"], emit);
        emit({ type: "failed", failure: fromErrorBody(holder, { status: 200, usage }) });
        return;
      }
      const isChoice = choice !== objectOf(undefined);
      began ||= isChoice;
      const hadContent = isChoice && content(choice, emit);
      const hadUsage = count(frame["usage"] ?? groq["usage"], emit);
      counted = hadUsage && !hadContent ? true : counted && !hadContent;
      const reason = wordOf(choice["finish_reason"]);
      // OpenRouter sends it twice; of two that differ, the one that is no good end counts.
      if (reason !== undefined && failureOfFinish(finish, false) === undefined) finish = reason;
      if (finish === "error") failed(FailureCode.PROVIDER_UNAVAILABLE, emit);
    },
    end(told, emit) {
      if (finish === undefined && !(told && began && counted)) {
        failed(told && !began ? FailureCode.PROVIDER_UNAVAILABLE : FailureCode.STREAM_CUT, emit);
        return;
      }
      const failure = failureOfFinish(finish, refused);
      if (failure !== undefined) {
        failed(failure, emit);
        return;
      }
      for (const call of tools.calls()) emit({ type: "tool-call", call });
      emit({ type: "finish" });
    },
  };
}

/** With `n` above 1, which an application may have a proxy add, choices are told apart by their index. */
function isFirst(choice: unknown): boolean {
  return typeof choice === "object" && choice !== null && (objectOf(choice)["index"] ?? 0) === 0;
}
