import type { InputFault } from "@sluice/guard";
import type { ChatMessage, ChatRole } from "./chat-messages.ts";
import { isObject, ownField } from "./own-field.ts";

/**
 * Reads one message of `useChat`: its text parts, joined. Of the assistant nothing else is taken: its
 * reasoning, sources, files and tool parts are an earlier answer's, and the guard runs tools of its own.
 * Versions before 5 of the AI SDK put the text into `content` too, before 4.2 there only.
 * Source: https://ai-sdk.dev/docs/reference/ai-sdk-core/ui-message
 */
export function readUiMessage(
  message: unknown,
  path: string,
): ChatMessage | InputFault | undefined {
  if (!isObject(message)) return { path, rule: "expected object" };
  const role = ownField(message, "role");
  if (!isRole(role)) return { path: `${path}/role`, rule: "expected system, user or assistant" };
  const attached = ownField(message, "experimental_attachments");
  if (role !== "assistant" && Array.isArray(attached) && attached.length > 0) {
    return { path: `${path}/experimental_attachments`, rule: noFiles };
  }
  const parts = ownField(message, "parts");
  const text = parts === undefined ? "" : textOfParts(parts, role, `${path}/parts`);
  if (typeof text !== "string") return text;
  const content = text === "" ? (ownField(message, "content") ?? "") : text;
  if (typeof content !== "string") return { path: `${path}/content`, rule: "expected string" };
  if (content !== "") return { role, content };
  // The assistant's parts without text are left out; a question without text would be lost unseen.
  return role === "assistant" ? undefined : { path: `${path}/parts`, rule: "expected text" };
}

const noFiles = "files are not taken";

const isRole = (role: unknown): role is ChatRole =>
  role === "system" || role === "user" || role === "assistant";

function textOfParts(parts: unknown, role: ChatRole, path: string): string | InputFault {
  if (!Array.isArray(parts)) return { path, rule: "expected array" };
  const texts: string[] = [];
  for (const [index, part] of (parts as readonly unknown[]).entries()) {
    const at = `${path}/${index}`;
    if (!isObject(part)) return { path: at, rule: "expected object" };
    const type = ownField(part, "type");
    if (typeof type !== "string") return { path: `${at}/type`, rule: "expected string" };
    if (type === "text") {
      const text = ownField(part, "text");
      if (typeof text !== "string") return { path: `${at}/text`, rule: "expected string" };
      texts.push(text);
    } else if (role !== "assistant") {
      if (type === "file" && !isEmptyFile(part)) return { path: at, rule: noFiles };
      if (type !== "file" && !isForTheEye(type)) {
        return { path: `${at}/type`, rule: "only parts of text are taken" };
      }
    }
  }
  return texts.join("");
}

/** Parts that are shown and never sent to a model. */
const isForTheEye = (type: string): boolean =>
  type.startsWith("data-") ||
  type.startsWith("source") ||
  type === "step-start" ||
  type === "reasoning";

/** `data` is version 4's `url`; a reference stands in for both. */
const isEmptyFile = (part: object): boolean =>
  ["url", "data", "providerReference"].every((name) => {
    const value = ownField(part, name);
    return value === undefined || value === null || value === "";
  });
