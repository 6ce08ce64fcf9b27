import type { Pace } from "../stream/pace.ts";

/** What the upstream is to answer; the text of the one message of a chat. */
export interface Question extends Pace {
  /** What it says; `""` has each piece tell when it was sent. */
  readonly says: string;
  /** After the first half of its chunks it waits until the upstream is told to let go. */
  readonly holds?: boolean;
}

export function fromMessage(text: string): Question {
  return JSON.parse(text) as Question;
}

/** A chat that is answered as a whole, in JSON. */
export function wholeBody(question: Question): string {
  return JSON.stringify({ messages: [{ role: "user", content: JSON.stringify(question) }] });
}

/** The same as `useChat` asks, answered by a UI message stream. */
export function streamBody(question: Question): string {
  return JSON.stringify({
    id: "chat",
    trigger: "submit-message",
    messages: [
      { id: "m1", role: "user", parts: [{ type: "text", text: JSON.stringify(question) }] },
    ],
  });
}
