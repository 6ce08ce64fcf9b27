import type { InputFault } from "@sluice/guard";
import type { ChatMessage, ChatRole } from "./chat-messages.ts";
import { isObject, ownField } from "./own-field.ts";

/**
 * Reads one message of Chat Completions: its text. A developer's is the system's. Calls and results of
 * tools are refused, for the guard runs tools of its own.
 * Source: https://platform.openai.com/docs/api-reference/chat/create
 */
export function readOpenAiMessage(
  message: unknown,
  path: string,
): ChatMessage | InputFault | undefined {
  if (!isObject(message)) return { path, rule: "expected object" };
  const named = ownField(message, "role");
  if (named === "tool" || named === "function") return { path: `${path}/role`, rule: ownTools };
  const role = typeof named === "string" ? roles.get(named) : undefined;
  if (role === undefined) {
    return { path: `${path}/role`, rule: "expected system, developer, user or assistant" };
  }
  for (const name of ["tool_calls", "function_call"]) {
    if (isGiven(ownField(message, name))) return { path: `${path}/${name}`, rule: ownTools };
  }
  const content = textOfContent(ownField(message, "content"), role, `${path}/content`);
  if (typeof content !== "string") return content;
  if (content !== "") return { role, content };
  return role === "assistant" ? undefined : { path: `${path}/content`, rule: "expected text" };
}

export const ownTools = "the server runs tools of its own and takes none of the client's";

/** Whether a member holds something: null and an empty list are as good as none. */
export const isGiven = (value: unknown): boolean =>
  value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);

const roles: ReadonlyMap<string, ChatRole> = new Map([
  ["system", "system"],
  ["developer", "system"],
  ["user", "user"],
  ["assistant", "assistant"],
]);

function textOfContent(content: unknown, role: ChatRole, path: string): string | InputFault {
  if (typeof content === "string") return content;
  // An assistant that called a tool or refused has none.
  if ((content === null || content === undefined) && role === "assistant") return "";
  if (!Array.isArray(content)) return { path, rule: "expected string or array" };
  const texts: string[] = [];
  for (const [index, part] of (content as readonly unknown[]).entries()) {
    const at = `${path}/${index}`;
    if (!isObject(part)) return { path: at, rule: "expected object" };
    const type = ownField(part, "type");
    if (type === "refusal" && role === "assistant") continue;
    if (type !== "text") return { path: `${at}/type`, rule: "only parts of text are taken" };
    const text = ownField(part, "text");
    if (typeof text !== "string") return { path: `${at}/text`, rule: "expected string" };
    texts.push(text);
  }
  return texts.join("");
}
