import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import type { RequestHandler } from "express";
import { chatContract, maxOutputTokens, model } from "./chat-contract.ts";
import { leaving } from "./leaving.ts";
import { readChat } from "./read-chat.ts";
import { withJson } from "./with-json.ts";

/** The AI SDK alone, as its documentation has it. */
export function sdkChat(baseURL: string): RequestHandler {
  const provider = createOpenAICompatible({
    name: "bench",
    apiKey: "bench",
    baseURL,
    includeUsage: true,
  });
  return withJson(async (req, res) => {
    const { streams, messages } = readChat(req.body);
    const call = { model: provider(model), messages, maxOutputTokens, maxRetries: 0 };
    if (streams) {
      await streamText({ ...call, abortSignal: leaving(res) }).pipeUIMessageStreamToResponse(res);
      return;
    }
    const { text } = await generateText(call);
    res.json(chatContract.ok.parse({ status: "OK", reply: text }));
  });
}
