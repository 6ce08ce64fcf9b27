import { FailureCode, type ProviderReply } from "@sluice/contract";
import { fromChatCompletion } from "./from-chat-completion.ts";
import { fromResponse } from "./from-response.ts";
import { objectOf } from "./narrow-json.ts";

/** What the first letter of a body shows, whatever its content type says; undefined before it came. */
export function kindOfBody(text: string): "json" | "events" | "page" | undefined {
  switch (text[0]) {
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
