import express, { type Router } from "express";
import type { ChatRequest } from "./chat-contract.ts";
import { hasParts, sendUiStream, textOfParts } from "./legacy-ui-stream.ts";

/** The answers that the product gave before there was a model. */
const topics: readonly (readonly [RegExp, string])[] = [
  [/\b(?:price|cost|pay|refund)\b/i, "Prices and refunds are on the page “Billing”."],
  [/\b(?:password|login|sign in)\b/i, "You can reset your password on the sign-in page."],
  [/\b(?:hello|hi|hey)\b/i, "Hello! Ask about billing or your account."],
];

const otherwise =
  "I can help with billing and accounts. A person answers within a day: support desk.";

export function legacyReply({ messages }: ChatRequest): string {
  return replyTo(messages.findLast((message) => message.role === "user")?.content ?? "");
}

function replyTo(asked: string): string {
  return topics.find(([topic]) => topic.test(asked))?.[1] ?? otherwise;
}

/** `/api/chat` as it was: it knows nothing of Sluice. `useChat` gets the stream that it reads. */
export function legacyChat(): Router {
  const router = express.Router();
  router.use(express.json({ limit: "1mb" }), (req, res) => {
    const body = req.body as { readonly messages?: unknown } | null | undefined;
    if (!Array.isArray(body?.messages)) {
      res.status(400).json({ error: "messages must be an array" });
      return;
    }
    if (hasParts(body.messages)) {
      sendUiStream(res, replyTo(textOfParts(body.messages.at(-1))));
      return;
    }
    res.json({ status: "OK", reply: legacyReply({ messages: askedOf(body.messages) }) });
  });
  return router;
}

/** It never checked what stands among the messages, and answers all the same. */
export function askedOf(messages: readonly unknown[]): ChatRequest["messages"] {
  return messages.filter(isMessage);
}

function isMessage(value: unknown): value is ChatRequest["messages"][number] {
  if (typeof value !== "object" || value === null) return false;
  return "role" in value && "content" in value && typeof value.content === "string";
}
