import type { RequestHandler, Response } from "express";
import OpenAI from "openai";
import { chatContract, maxOutputTokens, model } from "./chat-contract.ts";
import { leaving } from "./leaving.ts";
import { readChat } from "./read-chat.ts";
import { withJson } from "./with-json.ts";

/**
 * What one writes without a gateway, body parser and all: the official client, the schema, and for a stream
 * the frames of `useChat` by hand and an abort when the client leaves.
 */
export function bareChat(
  baseURL: string,
  defaultHeaders: Readonly<Record<string, string>> = {},
): RequestHandler {
  const client = new OpenAI({ apiKey: "bench", baseURL, maxRetries: 0, defaultHeaders });
  type Messages = ReturnType<typeof readChat>["messages"];

  async function whole(res: Response, messages: Messages): Promise<void> {
    const completion = await client.chat.completions.create({
      model,
      messages,
      max_completion_tokens: maxOutputTokens,
    });
    const reply = completion.choices[0]?.message.content ?? "";
    res.json(chatContract.ok.parse({ status: "OK", reply }));
  }

  async function stream(res: Response, messages: Messages): Promise<void> {
    const pieces = await client.chat.completions.create(
      {
        model,
        messages,
        max_completion_tokens: maxOutputTokens,
        stream: true,
        stream_options: { include_usage: true },
      },
      { signal: leaving(res) },
    );
    res.status(200).set({
      "content-type": "text/event-stream; charset=utf-8",
      "x-vercel-ai-ui-message-stream": "v1",
    });
    const id = "1";
    const write = (part: object): void => void res.write(`data: ${JSON.stringify(part)}\n\n`);
    write({ type: "start" });
    write({ type: "text-start", id });
    for await (const piece of pieces) {
      const delta = piece.choices[0]?.delta.content ?? "";
      if (delta !== "") write({ type: "text-delta", id, delta });
    }
    write({ type: "text-end", id });
    write({ type: "finish" });
    res.end("data: [DONE]\n\n");
  }

  return withJson(async (req, res) => {
    const { streams, messages } = readChat(req.body);
    await (streams ? stream(res, messages) : whole(res, messages));
  });
}
