import { createParser } from "eventsource-parser";
import { isObject, ownField } from "./own-field.ts";

/** An answer of any protocol, read: a JSON value, or what a client would show of it. */
export type AnswerText =
  | { readonly json: unknown }
  /** `complete`: it was sent to its end, and no failure was told. */
  | { readonly text: string; readonly complete: boolean };

/**
 * Reads the bytes of an answer: of the AI SDK's UI message stream, of OpenAI's chunks or completion, of the
 * JSON protocol, and plain text. It never throws, and holds no more than the body and its text.
 */
export function readAnswerText(body: Uint8Array, contentType: string | undefined): AnswerText {
  const text = new TextDecoder().decode(body);
  const type = contentType?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type === "text/event-stream") return textOfEvents(text);
  // Without a type it is whatever it looks like.
  if (type !== "" && !/^application\/(?:.*\+)?json$/.test(type)) return { text, complete: true };
  const parsed = parse(text);
  if (parsed === undefined) return { text, complete: type === "" };
  const { json } = parsed;
  if (ownField(json, "object") !== "chat.completion") return { json };
  const content = ownField(ownField(firstChoice(json), "message"), "content");
  return typeof content === "string"
    ? { text: content, complete: true }
    : { text: "", complete: false };
}

function textOfEvents(body: string): AnswerText {
  const pieces: string[] = [];
  /** Pieces before the step under way. */
  let before = 0;
  let hasEnded = false;
  let hasFailed = false;
  const parser = createParser({
    onEvent({ data }) {
      const json = parse(data)?.json;
      const type = ownField(json, "type");
      if (data === "[DONE]") hasEnded = true;
      else if (ownField(json, "object") === "chat.completion.chunk") {
        const choice = firstChoice(json);
        add(ownField(ownField(choice, "delta"), "content"));
        hasEnded ||= typeof ownField(choice, "finish_reason") === "string";
      } else if (type === "text-delta") {
        add(ownField(json, "delta") ?? ownField(json, "text"));
      } else if (type === "start-step") before = pieces.length;
      // What the AI SDK writes when it tries a step again.
      else if (type === "reset-step") pieces.length = before;
      else if (type === "finish") hasEnded = true;
      else if (type === "error" || type === "failed" || type === "abort") hasFailed = true;
      else if (isObject(ownField(json, "error"))) hasFailed = true;
    },
  });
  const add = (piece: unknown): void => {
    if (typeof piece === "string") pieces.push(piece);
  };
  parser.feed(body);
  return { text: pieces.join(""), complete: hasEnded && !hasFailed };
}

const firstChoice = (json: unknown): unknown => {
  const choices = ownField(json, "choices");
  return Array.isArray(choices) ? choices[0] : undefined;
};

function parse(text: string): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}
