import express, { type Router } from "express";
import { askedOf, legacyReply } from "./legacy-chat.ts";

/**
 * The legacy answers for clients of OpenAI's API, as the product gave them before there was a model: no
 * stream, no tools.
 */
export function legacyCompletions(): Router {
  const router = express.Router();
  router.use(express.json({ limit: "1mb" }), (req, res) => {
    const body = req.body as { readonly messages?: unknown; readonly stream?: unknown } | null;
    if (!Array.isArray(body?.messages)) {
      const message = "messages must be an array";
      res.status(400).json({ error: { message, type: "invalid_request_error" } });
      return;
    }
    const content = legacyReply({ messages: askedOf(body.messages) });
    const head = { id: "chatcmpl-legacy", created: Math.floor(Date.now() / 1000), model: "legacy" };
    if (body?.stream !== true) {
      const choice = { index: 0, message: { role: "assistant", content }, finish_reason: "stop" };
      res.json({ ...head, object: "chat.completion", choices: [choice] });
      return;
    }
    const delta = { role: "assistant", content };
    const choice = { index: 0, delta, finish_reason: "stop" };
    const chunk = { ...head, object: "chat.completion.chunk", choices: [choice] };
    res.type("text/event-stream").send(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`);
  });
  return router;
}
