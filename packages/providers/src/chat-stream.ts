import { FailureCode, type Usage } from "@sluice/contract";
import { chatEnd } from "./chat-end.ts";
import { failureOfFinish, finishOf } from "./finish-reason.ts";
import { choicesOf, indexOfChoice, isFirstChoice } from "./answer-choices.ts";
import type { Emit, FrameReader } from "./frame-reader.ts";
import { fromErrorBody } from "./from-error-body.ts";
import { fromUsage, largerUsage } from "./from-usage.ts";
import { isRefusal, reasoningOf, textOfContent } from "./message-content.ts";
import { isPresent, objectOf, type JsonObject } from "./narrow-json.ts";
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
  let hasText = false;
  let began = false;
  /** Usage was told and no content came after it. */
  let counted = false;
  /** What stands under another index: the answer, where no choice is the first. */
  let others: JsonObject[] = [];
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
    hasText ||= text !== undefined;
    const reasoning = reasoningOf(delta);
    if (reasoning !== undefined) emit({ type: "reasoning-delta", text: reasoning });
    if (text === undefined || text === "") return isPresent(delta["tool_calls"]);
    emit({ type: "text-delta", text });
    return true;
  }

  function count(told: unknown, emit: Emit): boolean {
    const now = fromUsage(told);
    if (now === undefined) return false;
    const most = largerUsage(usage, now);
    if (most?.inputTokens !== usage?.inputTokens || most?.outputTokens !== usage?.outputTokens) {
      usage = most ?? now;
      // At once, so that it is known also where the stream is left early.
      emit({ type: "usage", usage });
    }
    return true;
  }

  /** True where it held content. */
  function take(choice: JsonObject, emit: Emit): boolean {
    const hadContent = content(choice, emit);
    const reason = finishOf(choice["finish_reason"]);
    // OpenRouter sends it twice; of two that differ, the one that is no good end counts.
    if (reason !== undefined && failureOfFinish(finish, false) === undefined) finish = reason;
    return hadContent;
  }

  /** The only choice of an answer is its first, whatever its index. */
  function takeOnly(emit: Emit): void {
    const [only, ...more] = others;
    if (began || only === undefined) return;
    began = true;
    const index = indexOfChoice(only);
    if (more.some((choice) => indexOfChoice(choice) !== index)) return;
    for (const choice of others) take(choice, emit);
  }

  return {
    get usage() {
      return usage;
    },
    frame(frame, emit) {
      const choices = choicesOf(frame["choices"]);
      const first = choices.find(isFirstChoice);
      const choice = objectOf(first);
      const groq = objectOf(frame["x_groq"]);
      const holder = [choice, groq].find(({ error }) => isPresent(error));
      if (holder !== undefined) {
        count(frame["usage"], emit);
        emit({ type: "failed", failure: fromErrorBody(holder, { status: 200, usage }) });
        return;
      }
      began ||= first !== undefined;
      if (began) others = [];
      else others.push(...choices.map(objectOf));
      const hadContent = first !== undefined && take(choice, emit);
      const hadUsage = count(frame["usage"] ?? groq["usage"], emit);
      counted = hadUsage && !hadContent ? true : counted && !hadContent;
      if (finish === "error") failed(FailureCode.PROVIDER_UNAVAILABLE, emit);
    },
    end(told, emit) {
      takeOnly(emit);
      if (finish === undefined && !(told && began && counted)) {
        failed(told && !began ? FailureCode.PROVIDER_UNAVAILABLE : FailureCode.STREAM_CUT, emit);
        return;
      }
      const end = chatEnd({ finish, refused, hasText, tools });
      if (typeof end === "string") {
        failed(end, emit);
        return;
      }
      for (const call of end) emit({ type: "tool-call", call });
      emit({ type: "finish" });
    },
  };
}
