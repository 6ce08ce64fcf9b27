import type { Response } from "express";

/** Whether a body is what `useChat` of the AI SDK sends: its messages have parts. */
export const hasParts = (messages: readonly unknown[]): boolean =>
  messages.some((message) => Array.isArray((message as { parts?: unknown } | null)?.parts));

/** The text of a message's parts; it never checked what stands among them. */
export function textOfParts(message: unknown): string {
  const { parts } = (message ?? {}) as { readonly parts?: unknown };
  if (!Array.isArray(parts)) return "";
  return parts
    .map((part: unknown) => (part as { text?: unknown } | null)?.text)
    .filter((text) => typeof text === "string")
    .join(" ");
}

/** Source: the AI SDK's UI message stream, version 1. */
export function sendUiStream(res: Response, reply: string): void {
  const events = [
    { type: "start" },
    { type: "text-start", id: "1" },
    { type: "text-delta", id: "1", delta: reply },
    { type: "text-end", id: "1" },
    { type: "finish" },
  ];
  const frames = [...events.map((event) => JSON.stringify(event)), "[DONE]"];
  res.set("x-vercel-ai-ui-message-stream", "v1").type("text/event-stream");
  res.send(frames.map((data) => `data: ${data}\n\n`).join(""));
}
