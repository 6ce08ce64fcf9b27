import {
  FailureCode,
  type ProviderEvent,
  type ProviderFailure,
  type ToolCall,
} from "@sluice/contract";
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
  /** The event of a part; undefined for one that holds nothing. @throws ProviderError for what is no part */
  event(chunk: unknown): ProviderEvent | undefined;
  /** What comes after the last part. */
  end(): readonly ProviderEvent[];
}

/**
 * Strings and UTF-8 bytes are text, and their end is the answer's. Where events of a provider stand among
 * them they have to tell their end themselves: one that ends without was cut.
 */
export function chunkReader(): ChunkReader {
  const decoder = new TextDecoder();
  let tellsItsEnd = false;
  return {
    event(chunk) {
      if (typeof chunk === "string") {
        return chunk === "" ? undefined : { type: "text-delta", text: chunk };
      }
      if (chunk instanceof Uint8Array) {
        const text = decoder.decode(chunk, { stream: true });
        // Part of a letter is a sign of life.
        return text === "" ? { type: "progress" } : { type: "text-delta", text };
      }
      const event = parseEvent(chunk);
      tellsItsEnd = true;
      return event;
    },
    end() {
      const rest = decoder.decode();
      return [
        ...(rest === "" ? [] : [{ type: "text-delta", text: rest } as const]),
        tellsItsEnd
          ? {
              type: "failed",
              failure: { ok: false, code: FailureCode.STREAM_CUT, dispatched: true },
            }
          : { type: "finish" },
      ];
    },
  };
}

/** The events of an answer in parts, pulled one at a time. Throws what the parts throw. */
export async function* toProviderEvents(
  chunks: Chunks,
): AsyncGenerator<ProviderEvent, void, undefined> {
  const reader = chunkReader();
  for await (const chunk of chunks) {
    const event = reader.event(chunk);
    if (event === undefined) continue;
    yield event;
    if (event.type === "finish" || event.type === "failed") return;
  }
  yield* reader.end();
}

/** @throws ProviderError `INTERNAL` for what is no event: the function's own mistake. */
function parseEvent(chunk: unknown): ProviderEvent {
  const event = objectOf(chunk);
  switch (event["type"]) {
    case "text-delta":
      if (typeof event["text"] === "string") return { type: "text-delta", text: event["text"] };
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
