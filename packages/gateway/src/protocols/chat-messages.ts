import type { InputFault } from "@sluice/guard";
import { ownField } from "./own-field.ts";

/** A message as applications get it, whatever protocol it came in. */
export interface ChatMessage {
  readonly role: ChatRole;
  readonly content: string;
}

export type ChatRole = "system" | "user" | "assistant";

/** The most messages of one request. */
export const maxMessages = 1000;

/** The most UTF-16 units of all messages together. */
export const maxTextChars = 1_000_000;

/** Reads one message: undefined leaves it out. */
export type ReadMessage = (message: unknown, path: string) => ChatMessage | InputFault | undefined;

/** The messages of a body, or its first fault. */
export function readChatMessages(
  body: unknown,
  readMessage: ReadMessage,
): { readonly messages: readonly ChatMessage[] } | InputFault {
  const all = ownField(body, "messages");
  const path = "/messages";
  if (!Array.isArray(all)) return { path, rule: "expected array" };
  if (all.length === 0) return { path, rule: "expected at least one message" };
  if (all.length > maxMessages) return { path, rule: `at most ${maxMessages} messages` };
  const messages: ChatMessage[] = [];
  let chars = 0;
  for (const [index, each] of (all as readonly unknown[]).entries()) {
    const at = `${path}/${index}`;
    const message = readMessage(each, at);
    if (message === undefined) continue;
    if ("rule" in message) return message;
    chars += message.content.length;
    if (chars > maxTextChars) {
      return { path: at, rule: `at most ${maxTextChars} characters of text in all` };
    }
    messages.push(message);
  }
  return { messages };
}
