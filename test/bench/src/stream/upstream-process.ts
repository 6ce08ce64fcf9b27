import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fromText, type Pace } from "./pace.ts";
import { stamp } from "./stamp.ts";

/** A model that streams Chat Completions at the pace it is asked for; a process of its own. */
const chunk = { id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1, model: "bench" };

function frame(delta: object, finishReason: string | null): string {
  const choice = { index: 0, delta, logprobs: null, finish_reason: finishReason };
  return `data: ${JSON.stringify({ ...chunk, choices: [choice], usage: null })}\n\n`;
}

const begin = frame({ role: "assistant", content: "", refusal: null }, null);
const usage = { prompt_tokens: 20, completion_tokens: 60, total_tokens: 80 };
const end = `${frame({}, "stop")}data: ${JSON.stringify({ ...chunk, choices: [], usage })}\n\ndata: [DONE]\n\n`;

function answer(res: ServerResponse, { chunks, gapMs }: Pace): void {
  let sent = 0;
  const next = (): void => {
    sent += 1;
    res.write(frame({ content: stamp() }, null));
  };
  res.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  res.write(begin);
  next();
  if (gapMs === 0) {
    for (let i = sent; i < chunks; i += 1) next();
    res.end(end);
    return;
  }
  const pacing = setInterval(() => {
    if (sent < chunks) {
      next();
      return;
    }
    clearInterval(pacing);
    res.end(end);
  }, gapMs);
  res.once("close", () => clearInterval(pacing));
}

function paceOf(body: string): Pace {
  const { messages } = JSON.parse(body) as { readonly messages: { readonly content: string }[] };
  return fromText(messages[0]?.content ?? "");
}

const server = createServer((req, res) => {
  let body = "";
  req.setEncoding("utf8");
  req.on("data", (piece: string) => {
    body += piece;
  });
  req.on("end", () => answer(res, paceOf(body)));
});
server.keepAliveTimeout = 60_000;
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () =>
  process.send?.((server.address() as AddressInfo).port),
);
