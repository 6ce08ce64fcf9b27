import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { stamp } from "../stream/stamp.ts";
import { fromMessage, type Question } from "./question.ts";

/** A model of Chat Completions, whole and streamed, as it is asked; below `/hangs` it never answers. */
const head = { id: "chatcmpl-bench", created: 1, model: "bench" };
const usage = { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 };

function frame(delta: object, finishReason: string | null): string {
  const choice = { index: 0, delta, logprobs: null, finish_reason: finishReason };
  return `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices: [choice], usage: null })}\n\n`;
}

let letGo = Promise.withResolvers<void>();

const begin = frame({ role: "assistant", content: "", refusal: null }, null);
const counted = { ...head, object: "chat.completion.chunk", choices: [], usage };
const end = `${frame({}, "stop")}data: ${JSON.stringify(counted)}\n\ndata: [DONE]\n\n`;

function answerWhole(res: ServerResponse, { says }: Question): void {
  const message = { role: "assistant", content: says === "" ? "yes" : says, refusal: null };
  const choice = { index: 0, message, logprobs: null, finish_reason: "stop" };
  res.setHeader("content-type", "application/json");
  res.end(JSON.stringify({ ...head, object: "chat.completion", choices: [choice], usage }));
}

function answerStream(res: ServerResponse, { chunks, gapMs, says, holds }: Question): void {
  let sent = 0;
  // Of the crowd that it came with: it is asked to wait only after its half was seen.
  const crowd = letGo.promise;
  const next = (): void => {
    sent += 1;
    res.write(frame({ content: says === "" ? stamp() : `${says} ${sent}. ` }, null));
  };
  res.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  res.write(begin);
  next();
  if (gapMs === 0) {
    for (let i = sent; i < chunks; i += 1) next();
    res.end(end);
    return;
  }
  const pace = (chunksUntil: number, then: () => void): void => {
    const pacing = setInterval(() => {
      if (sent < chunksUntil) {
        next();
        return;
      }
      clearInterval(pacing);
      then();
    }, gapMs);
    res.once("close", () => clearInterval(pacing));
  };
  const finish = (): void => pace(chunks, () => void res.end(end));
  if (holds === true) pace(chunks / 2, () => void crowd.then(finish));
  else finish();
}

interface Asked {
  readonly stream?: boolean;
  readonly messages: readonly { readonly content: string | readonly { readonly text: string }[] }[];
}

function answer(res: ServerResponse, body: string): void {
  const { stream, messages } = JSON.parse(body) as Asked;
  const content = messages[0]?.content ?? "";
  const question = fromMessage(typeof content === "string" ? content : (content[0]?.text ?? ""));
  if (stream === true) answerStream(res, question);
  else answerWhole(res, question);
}

let open = 0;
const server = createServer((req, res) => {
  open += 1;
  res.once("close", () => {
    open -= 1;
  });
  let body = "";
  req.setEncoding("utf8");
  req.on("data", (piece: string) => {
    body += piece;
  });
  req.on("end", () => {
    if (req.url?.startsWith("/hangs") !== true) answer(res, body);
  });
});
process.on("message", (question: "open" | "let go") => {
  if (question === "let go") {
    letGo.resolve();
    letGo = Promise.withResolvers();
  }
  process.send?.(open);
});
server.keepAliveTimeout = 60_000;
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () =>
  process.send?.((server.address() as AddressInfo).port),
);
