import { FailureCode, type ProviderEvent } from "@sluice/contract";
import { createParser } from "eventsource-parser";
import { answerStream } from "./answer-stream.ts";
import { fromJsonAnswer, kindOfBody } from "./from-answer.ts";
import { maxAnswerBytes } from "./read-body.ts";
import { toEvents } from "./to-reply.ts";

/** Far above any event of a chat model, also where its whole answer is one. */
const maxEventChars = 8 * 1024 * 1024;
/** Some hosts send white space for as long as they have no answer. */
const maxBlankChars = 64 * 1024;

/** An answer's bytes as the events that they hold. */
export interface AnswerReader {
  readonly ended: boolean;
  feed(bytes: Uint8Array): void;
  end(how: "ended" | "cut"): void;
}

/**
 * Reads a body as it comes, in whatever slices: server-sent events, or the one JSON that some hosts answer
 * instead. `key` is the call's, for ids that the host leaves out.
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function answerReader(queue: ProviderEvent[], key: string): AnswerReader {
  const answer = answerStream(queue, key);
  const decoder = new TextDecoder();
  let bytes = 0;
  let blankChars = 0;
  /** The whole of a JSON, or the line of events that has not ended yet. */
  let parts: string[] = [];
  let partChars = 0;
  let kind: ReturnType<typeof kindOfBody>;
  let push = answer.push;
  const unreadable = (): void => answer.fail(FailureCode.PROVIDER_UNAVAILABLE);
  const parser = createParser({
    maxBufferSize: maxEventChars,
    onEvent: ({ data, event }) => push(data, event),
    onComment: answer.alive,
    onError: ({ type, line }) => {
      // Lines that are no field are to be passed over, but for one that a torn or unframed event left.
      if (type !== "unknown-field" && type !== "invalid-retry") unreadable();
      else if (/\{|data:/.test(line ?? "")) unreadable();
    },
  });

  function keep(piece: string): void {
    if (piece === "") return;
    parts.push(piece);
    partChars += piece.length;
  }

  /** Hands on whole lines: the parser passes over the rest of a line whose beginning it doesn't know. */
  function takeLines(piece: string): void {
    const end = Math.max(piece.lastIndexOf("\n"), piece.lastIndexOf("\r")) + 1;
    if (end > 0) {
      const lines = parts.join("") + piece.slice(0, end);
      parts = [];
      partChars = 0;
      parser.feed(lines);
    }
    keep(piece.slice(end));
    if (partChars > maxEventChars) unreadable();
  }

  function take(piece: string): void {
    let rest = piece;
    if (kind === undefined) {
      rest = piece.trimStart();
      blankChars += piece.length - rest.length;
      if (blankChars > maxBlankChars) unreadable();
      kind = kindOfBody(rest);
    }
    if (kind === "page") unreadable();
    else if (kind === "events") takeLines(rest);
    else keep(rest);
  }

  return {
    get ended() {
      return answer.ended;
    },
    feed(slice) {
      if (answer.ended) return;
      bytes += slice.byteLength;
      if (bytes > maxAnswerBytes) unreadable();
      else take(decoder.decode(slice, { stream: true }));
    },
    end(how) {
      if (answer.ended) return;
      if (kind === "json" && how === "ended") {
        keep(decoder.decode());
        for (const event of toEvents(fromJsonAnswer(parts.join("")))) answer.emit(event);
        return;
      }
      if (kind === "events" && how === "ended") {
        push = answer.pushLast;
        takeLines(`${decoder.decode()}\n\n`);
      }
      answer.end(how);
    },
  };
}
