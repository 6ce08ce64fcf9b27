import { FailureCode, type ProviderEvent, type ToolCall } from "@sluice/contract";
import { chatStream } from "./chat-stream.ts";
import type { Emit, FrameReader } from "./frame-reader.ts";
import { fromErrorBody } from "./from-error-body.ts";
import { fromUsage, largerUsage } from "./from-usage.ts";
import { isPresent, objectOf, wordOf, type JsonObject } from "./narrow-json.ts";
import { responsesStream } from "./responses-stream.ts";

/** An answer as it streams, whichever of the two APIs it speaks. Whatever it is fed, it has one end. */
export interface AnswerStream {
  /** A terminal event was emitted; nothing is after it. */
  readonly ended: boolean;
  /** One server-sent event. */
  readonly push: (data: string, event: string | undefined) => void;
  /** What one of them holds, parsed elsewhere. */
  readonly pushValue: (value: unknown) => void;
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
 * or tells an error, ends the stream at once and is never skipped. `key` is the call's: a tool call whose
 * host gave it no id, or one that it gave to another, has one that no other turn has.
 */
export function answerStream(queue: ProviderEvent[], key: string): AnswerStream {
  let reader: FrameReader | undefined;
  let ended = false;
  const ids = new Set<string>();

  const emit: Emit = (event) => {
    if (ended) return;
    ended = event.type === "finish" || event.type === "failed";
    queue.push(event.type === "tool-call" ? { ...event, call: identified(event.call) } : event);
  };
  function identified(call: ToolCall): ToolCall {
    const isGood = call.id !== "" && !ids.has(call.id);
    const id = isGood ? call.id : madeId(key, ids.size);
    ids.add(id);
    return { ...call, id };
  }
  const fail = (code: FailureCode): void => {
    const usage = reader?.usage;
    emit({ type: "failed", failure: { ok: false, code, dispatched: true, usage } });
  };
  const failWith = (body: unknown): void => {
    const usage = largerUsage(fromUsage(objectOf(body)["usage"]), reader?.usage);
    emit({ type: "failed", failure: fromErrorBody(body, { status: 200, usage }) });
  };

  function push(data: string, event: string | undefined): void {
    if (ended) return;
    const before = queue.length;
    // An empty event is a heartbeat.
    if (data.startsWith(sentinel)) endBySentinel();
    else if (event === "error") failWith(parseJson(data) ?? data);
    else if (data !== "") frame(parseJson(data));
    if (queue.length === before) emit(progress);
  }

  function pushValue(value: unknown): void {
    if (ended) return;
    const before = queue.length;
    frame(value);
    if (queue.length === before) emit(progress);
  }

  function endBySentinel(): void {
    if (reader === undefined) fail(FailureCode.PROVIDER_UNAVAILABLE);
    else reader.end(true, emit);
  }

  function frame(value: unknown): void {
    if (isError(value)) failWith(value);
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
    pushValue,
    pushLast(data, event) {
      // What does not parse was cut, which the end tells.
      const isWhole = data.startsWith(sentinel) || parseJson(data) !== undefined;
      if (isWhole || event === "error") push(data, event);
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

/**
 * Beside `choices`, in an array, as a string, as an event of its own (Responses), or as vLLM's object. An
 * empty one is an error only where nothing else is.
 */
function isError(value: unknown): boolean {
  if (Array.isArray(value)) return true;
  const { error, type, object, choices } = objectOf(value);
  const isEmptyOne = typeof error === "object" && error !== null && choices === undefined;
  return isPresent(error) || isEmptyOne || type === "error" || object === "error";
}

/** Azure streams Chat Completions chunks under the path of Responses, and some hosts give those a type. */
function readerFor({ choices, type }: JsonObject): FrameReader | undefined {
  const word = wordOf(type);
  if (choices !== undefined || word === undefined) return chatStream();
  return word.startsWith("response.") ? responsesStream() : undefined;
}

/** Hosts take ids of letters and digits, OpenAI of at most 40. */
function madeId(key: string, at: number): string {
  return `call_${key.replaceAll(/[^A-Za-z0-9]/g, "").slice(-24)}_${at}`;
}
