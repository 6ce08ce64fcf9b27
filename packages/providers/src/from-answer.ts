import { FailureCode, type ProviderEvent, type ProviderReply } from "@sluice/contract";
import { createParser } from "eventsource-parser";
import { answerStream } from "./answer-stream.ts";
import { fromChatCompletion } from "./from-chat-completion.ts";
import { fromResponse } from "./from-response.ts";
import { objectOf } from "./narrow-json.ts";
import { toReply } from "./to-reply.ts";

/** What the first letter of a body shows, whatever its content type says. */
export function kindOfBody(text: string): "json" | "events" | "page" | undefined {
  switch (text.trimStart()[0]) {
    case undefined:
      return undefined;
    case "{":
    case "[":
      return "json";
    case "<":
      return "page";
    default:
      return "events";
  }
}

/** The reply in a whole body of a 200: JSON of either API, or the stream that nobody asked for. */
export function fromAnswer(text: string): ProviderReply {
  if (kindOfBody(text) === "json") return fromJsonAnswer(text);
  const events: ProviderEvent[] = [];
  const answer = answerStream(events);
  const parser = createParser({ onEvent: ({ data, event }) => answer.push(data, event) });
  parser.feed(text);
  parser.feed("\n\n");
  answer.end("ended");
  return toReply(events);
}

/** The reply in the JSON of either API; what is no JSON is no answer. */
export function fromJsonAnswer(text: string): ProviderReply {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, code: FailureCode.PROVIDER_UNAVAILABLE, dispatched: true };
  }
  const { object, output, choices } = objectOf(value);
  const isResponse = object === "response" || (choices === undefined && Array.isArray(output));
  return isResponse ? fromResponse(value) : fromChatCompletion(value);
}
