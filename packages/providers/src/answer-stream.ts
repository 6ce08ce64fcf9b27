import { FailureCode, type ProviderEvent } from "@sluice/contract";
import { chatStream } from "./chat-stream.ts";
import type { Emit, FrameReader } from "./frame-reader.ts";
import { fromErrorBody } from "./from-error-body.ts";
import { fromUsage } from "./from-usage.ts";
import { isPresent, objectOf, wordOf, type JsonObject } from "./narrow-json.ts";
import { responsesStream } from "./responses-stream.ts";

/** An answer as it streams, whichever of the two APIs it speaks. Whatever it is fed, it has one end. */
export interface AnswerStream {
  /** A terminal event was emitted; nothing is after it. */
  readonly ended: boolean;
  /** One server-sent event. */
  readonly push: (data: string, event: string | undefined) => void;
  /** What the body ended with, without the blank line that an event ends with. */
  readonly pushLast: (data: string, event: string | undefined) => void;
  /** A comment: the upstream is alive. */
  readonly alive: () => void;
  /** What was read in another way. */
  readonly emit: Emit;
  /** No more came: the body ended, or broke. */
  end(how: "ended" | "cut"): void;
  /** It can't be read on. */
  fail(code: FailureCode): void;
}

const progress: ProviderEvent = { type: "progress" };
const sentinel = "[DONE]";

/**
 * What server-sent events mean, each by itself, as events at the end of `queue`. A frame that is no JSON,
 * or tells an error, ends the stream at once and is never skipped.
 */
export function answerStream(queue: ProviderEvent[]): AnswerStream {
  let reader: FrameReader | undefined;
  let ended = false;

  const emit: Emit = (event) => {
    if (ended) return;
    ended = event.type === "finish" || event.type === "failed";
    queue.push(event);
  };
  const fail = (code: FailureCode): void => {
    const usage = reader?.usage;
    emit({ type: "failed", failure: { ok: false, code, dispatched: true, usage } });
  };
  const failWith = (body: unknown): void => {
    const usage = fromUsage(objectOf(body)["usage"]) ?? reader?.usage;
    emit({ type: "failed", failure: fromErrorBody(body, { status: 200, usage }) });
  };

  function push(data: string, event: string | undefined): void {
    if (ended) return;
    const before = queue.length;
    // An empty event is a heartbeat.
    if (data.startsWith(sentinel)) endBySentinel();
    else if (data !== "") frame(data, event);
    if (queue.length === before) emit(progress);
  }

  function endBySentinel(): void {
    if (reader === undefined) fail(FailureCode.PROVIDER_UNAVAILABLE);
    else reader.end(true, emit);
  }

  function frame(data: string, event: string | undefined): void {
    const value = parseJson(data);
    if (event === "error") failWith(value ?? data);
    else if (isError(value)) failWith(value);
    else if (typeof value !== "object" || value === null) fail(FailureCode.PROVIDER_UNAVAILABLE);
    else {
      reader ??= readerFor(objectOf(value));
      reader?.frame(objectOf(value), emit);
    }
  }

  return {
    get ended() {
      return ended;
    },
    push,
    pushLast(data, event) {
      // What does not parse was cut, which the end tells.
      if (data.startsWith(sentinel) || parseJson(data) !== undefined) push(data, event);
    },
    alive: () => emit(progress),
    emit,
    end(how) {
      if (reader !== undefined) reader.end(false, emit);
      else fail(how === "cut" ? FailureCode.STREAM_CUT : FailureCode.PROVIDER_UNAVAILABLE);
    },
    fail,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Beside `choices`, in an array, as a string, as an event of its own (Responses), or as vLLM's object. */
function isError(value: unknown): boolean {
  if (Array.isArray(value)) return true;
  const frame = objectOf(value);
  return isPresent(frame["error"]) || frame["type"] === "error" || frame["object"] === "error";
}

/** Azure streams Chat Completions chunks under the path of Responses. */
function readerFor(frame: JsonObject): FrameReader | undefined {
  const type = wordOf(frame["type"]);
  if (type === undefined) return chatStream();
  return type.startsWith("response.") ? responsesStream() : undefined;
}
