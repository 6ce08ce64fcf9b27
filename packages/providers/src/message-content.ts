import { objectOf, wordOf, type JsonObject } from "./narrow-json.ts";

/** Parts that are the model's thoughts, not its answer. */
const thoughts = new Set<unknown>(["thinking", "reasoning", "reasoning_text", "summary_text"]);

/** The text of a message's content: a string, or a part or an array of parts of which the text ones count. */
export function textOfContent(content: unknown): string | undefined {
  if (typeof content === "string") return content;
  const parts = partsOf(content);
  if (parts === undefined) return undefined;
  let text = "";
  for (const part of parts) {
    const { type, text: words } = objectOf(part);
    if (typeof words === "string" && !thoughts.has(type)) text += words;
  }
  return text;
}

/** What a model says to itself: beside the content, by the names that hosts have for it, or in parts of it. */
export function reasoningOf(message: JsonObject): string | undefined {
  const beside = wordOf(message["reasoning_content"]) ?? wordOf(message["reasoning"]);
  if (beside !== undefined) return beside;
  const text = (partsOf(message["content"]) ?? []).map(thoughtOf).join("");
  return text === "" ? undefined : text;
}

/** Mistral's thinking is itself a list of parts. */
function thoughtOf(part: unknown): string {
  const { type, text, thinking } = objectOf(part);
  if (!thoughts.has(type)) return "";
  return wordOf(text) ?? wordOf(thinking) ?? textOfContent(partsOf(thinking)) ?? "";
}

/** True for a message, or a part of one, in which the model refuses. */
export function isRefusal({ refusal, content }: JsonObject): boolean {
  return (
    wordOf(refusal) !== undefined ||
    (partsOf(content) ?? []).some((part) => objectOf(part)["type"] === "refusal")
  );
}

function partsOf(content: unknown): readonly unknown[] | undefined {
  if (typeof content !== "object" || content === null) return undefined;
  return Array.isArray(content) ? (content as readonly unknown[]) : [content];
}
