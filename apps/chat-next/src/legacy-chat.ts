import { createUIMessageStream, createUIMessageStreamResponse } from "ai";
import { cannedReply } from "./canned-reply.ts";

/** `/api/chat` as it was: it knows nothing of Sluice, and speaks what `useChat` reads. */
export async function legacyChat(request: Request): Promise<Response> {
  const body = (await request.json()) as { readonly messages?: readonly unknown[] } | null;
  if (!Array.isArray(body?.messages)) {
    return new Response("The messages are missing.", { status: 400 });
  }
  const reply = cannedReply(textOf(body.messages.at(-1)));
  const stream = createUIMessageStream({
    execute({ writer }) {
      writer.write({ type: "start" });
      writer.write({ type: "text-start", id: "1" });
      writer.write({ type: "text-delta", id: "1", delta: reply });
      writer.write({ type: "text-end", id: "1" });
      writer.write({ type: "finish" });
    },
  });
  return createUIMessageStreamResponse({ stream });
}

/** It never checked what stands in a message, and answers all the same. */
function textOf(message: unknown): string {
  const { parts } = (message ?? {}) as { readonly parts?: unknown };
  return Array.isArray(parts) ? parts.map(textOfPart).join(" ") : "";
}

function textOfPart(part: unknown): string {
  const { text } = (part ?? {}) as { readonly text?: unknown };
  return typeof text === "string" ? text : "";
}
