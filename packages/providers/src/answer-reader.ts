import { FailureCode, type ProviderEvent } from "@sluice/contract";
import { createParser } from "eventsource-parser";
import { answerStream } from "./answer-stream.ts";
import { fromJsonAnswer, kindOfBody } from "./from-answer.ts";
import { maxAnswerBytes } from "./read-body.ts";
import { toEvents } from "./to-reply.ts";

/** Far above any event of a chat model. */
const maxEventChars = 1024 * 1024;

/** An answer's bytes as the events that they hold. */
export interface AnswerReader {
  readonly ended: boolean;
  feed(bytes: Uint8Array): void;
  end(how: "ended" | "cut"): void;
}

/**
 * Reads a body as it comes, in whatever slices: server-sent events, or the one JSON that some hosts answer
 * instead. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function answerReader(queue: ProviderEvent[]): AnswerReader {
  const answer = answerStream(queue);
  const decoder = new TextDecoder();
  let bytes = 0;
  /** What came before its kind is known, and the whole of a JSON. */
  let text = "";
  let kind: ReturnType<typeof kindOfBody>;
  let push = answer.push;
  const parser = createParser({
    maxBufferSize: maxEventChars,
    onEvent: ({ data, event }) => push(data, event),
    onComment: answer.alive,
    onError: ({ type }) => {
      // Lines that are no field are to be passed over.
      if (type === "max-buffer-size-exceeded") answer.fail(FailureCode.PROVIDER_UNAVAILABLE);
    },
  });

  function take(piece: string): void {
    if (kind === "events") {
      parser.feed(piece);
      return;
    }
    text += piece;
    kind ??= kindOfBody(text);
    if (kind === "page") answer.fail(FailureCode.PROVIDER_UNAVAILABLE);
    if (kind === "events") parser.feed(text);
  }

  return {
    get ended() {
      return answer.ended;
    },
    feed(slice) {
      if (answer.ended) return;
      bytes += slice.byteLength;
      if (bytes > maxAnswerBytes) answer.fail(FailureCode.PROVIDER_UNAVAILABLE);
      else take(decoder.decode(slice, { stream: true }));
    },
    end(how) {
      if (answer.ended) return;
      if (kind === "json" && how === "ended") {
        for (const event of toEvents(fromJsonAnswer(text))) answer.emit(event);
        return;
      }
      if (kind === "events" && how === "ended") {
        push = answer.pushLast;
        parser.feed(`${decoder.decode()}\n\n`);
      }
      answer.end(how);
    },
  };
}
