import {
  FailureCode,
  type ProviderEvent,
  type ProviderFailure,
  type ToolCall,
} from "@sluice/contract";
import { answerStream, type AnswerStream } from "./answer-stream.ts";
import { isFailureCode } from "./failure-of-throw.ts";
import { objectOf } from "./narrow-json.ts";
import { parseUsage } from "./parse-usage.ts";
import { ProviderError } from "./provider-error.ts";

/** What a function may give as its answer's parts. */
export type Chunks = AsyncIterable<unknown> | Iterable<unknown>;

/**
 * The parts of an answer that comes in parts: an async iterable (a ReadableStream, a Node stream, an async
 * generator) or an iterator. A string is one text, and an array or another collection is one value.
 */
export function chunksOf(value: unknown): Chunks | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (Symbol.asyncIterator in value) return value as AsyncIterable<unknown>;
  if (!("next" in value) || typeof value.next !== "function") return undefined;
  if (Symbol.iterator in value) return value as unknown as Iterable<unknown>;
  // An iterator that is not iterable itself.
  return { [Symbol.asyncIterator]: () => value as unknown as AsyncIterator<unknown> };
}

/** Reads an answer's parts, one by one. */
export interface ChunkReader {
  /** The events of a part, valid until the next one. @throws ProviderError for what is no part */
  events(chunk: unknown): readonly ProviderEvent[];
  /** What comes after the last part. */
  end(): readonly ProviderEvent[];
}

/**
 * Strings and UTF-8 bytes are text, and their end is the answer's. The frames of OpenAI's two APIs, as its
 * client gives them, are read as from the wire; `key` is the call's. Where these or events of a provider
 * stand among the parts they have to tell their end themselves: one that ends without was cut.
 */
export function chunkReader(key: string): ChunkReader {
  const decoder = new TextDecoder();
  const queue: ProviderEvent[] = [];
  let tellsItsEnd = false;
  let frames: AnswerStream | undefined;
  function take(chunk: unknown): void {
    if (typeof chunk === "string") {
      if (chunk !== "") queue.push({ type: "text-delta", text: chunk });
      return;
    }
    if (chunk instanceof Uint8Array) {
      const text = decoder.decode(chunk, { stream: true });
      // Part of a letter is a sign of life.
      queue.push(text === "" ? { type: "progress" } : { type: "text-delta", text });
      return;
    }
    if (isFrame(chunk)) frames ??= answerStream(queue, key);
    if (frames !== undefined) {
      frames.pushValue(chunk);
      return;
    }
    queue.push(parseEvent(chunk));
    tellsItsEnd = true;
  }
  return {
    events(chunk) {
      queue.length = 0;
      take(chunk);
      return queue;
    },
    end() {
      queue.length = 0;
      const rest = decoder.decode();
      if (rest !== "") queue.push({ type: "text-delta", text: rest });
      if (frames !== undefined) frames.end("ended");
      else if (tellsItsEnd) {
        const failure = { ok: false, code: FailureCode.STREAM_CUT, dispatched: true } as const;
        queue.push({ type: "failed", failure });
      } else queue.push({ type: "finish" });
      return queue;
    },
  };
}

function isFrame(chunk: unknown): boolean {
  const { choices, type } = objectOf(chunk);
  return Array.isArray(choices) || (typeof type === "string" && type.startsWith("response."));
}

/** The events of an answer in parts, pulled one at a time. Throws what the parts throw. */
export async function* toProviderEvents(
  chunks: Chunks,
  key: string,
): AsyncGenerator<ProviderEvent, void, undefined> {
  const reader = chunkReader(key);
  for await (const chunk of chunks) {
    for (const event of reader.events(chunk)) {
      yield event;
      if (event.type === "finish" || event.type === "failed") return;
    }
  }
  yield* reader.end();
}

/** @throws ProviderError `INTERNAL` for what is no event: the function's own mistake. */
function parseEvent(chunk: unknown): ProviderEvent {
  const event = objectOf(chunk);
  switch (event["type"]) {
    case "text-delta":
    case "reasoning-delta":
      if (typeof event["text"] === "string") return { type: event["type"], text: event["text"] };
      break;
    case "tool-call": {
      const { id, name, arguments: args } = objectOf(event["call"]);
      if (typeof id === "string" && typeof name === "string" && typeof args === "string") {
        return { type: "tool-call", call: { id, name, arguments: args } satisfies ToolCall };
      }
      break;
    }
    case "usage": {
      const usage = parseUsage(objectOf(event["usage"]));
      return usage === undefined ? { type: "progress" } : { type: "usage", usage };
    }
    case "progress":
      return { type: "progress" };
    case "finish":
      return { type: "finish" };
    case "failed":
      return { type: "failed", failure: parseFailure(event["failure"]) };
  }
  throw new ProviderError(FailureCode.INTERNAL);
}

function parseFailure(value: unknown): ProviderFailure {
  const failure = value as ProviderFailure;
  return isFailureCode(objectOf(value)["code"])
    ? failure
    : { ok: false, code: FailureCode.PROVIDER_UNAVAILABLE, dispatched: true };
}
