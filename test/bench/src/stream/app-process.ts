import type { AddressInfo } from "node:net";
import { guardRoute } from "@sluice/express";
import { openaiProvider } from "@sluice/providers";
import express, { type Express } from "express";
import OpenAI from "openai";
import { z } from "zod";
import type { AppFigures } from "./app-figures.ts";
import { cpuMs } from "./cpu-ms.ts";
import { heldBytes } from "./held-memory.ts";
import { attributes, streamGuard, type Question } from "./stream-guard.ts";

/** A route that streams, bare or guarded, in a process of its own; tells what it holds when asked. */
const [kind, upstream] = process.argv.slice(2);
const baseUrl = `http://127.0.0.1:${upstream}/v1`;
const model = "bench";
const input = z.object({ text: z.string().min(1) });

/** What one writes without a guard: the client's loop, and an abort when the reader leaves. */
function bare(app: Express): () => number {
  const client = new OpenAI({ apiKey: "bench", baseURL: baseUrl, maxRetries: 0 });
  app.post("/api", express.json(), async (req, res) => {
    const { text } = input.parse(req.body);
    const leaving = new AbortController();
    res.once("close", () => {
      if (!res.writableFinished) leaving.abort();
    });
    const stream = await client.chat.completions.create(
      {
        model,
        messages: [{ role: "user", content: text }],
        max_completion_tokens: 800,
        stream: true,
        stream_options: { include_usage: true },
      },
      { signal: leaving.signal },
    );
    res.status(200).set({ "content-type": "text/event-stream; charset=utf-8" });
    for await (const chunk of stream) {
      const delta = chunk.choices[0]?.delta.content ?? "";
      if (delta === "") continue;
      res.write(`data: ${JSON.stringify({ type: "text-delta", text: delta })}\n\n`);
    }
    res.end(`data: ${JSON.stringify({ type: "finish" })}\n\n`);
  });
  return () => 0;
}

function guarded(app: Express): () => number {
  const guard = streamGuard(
    openaiProvider<Question>({ model, apiKey: "bench", baseUrl, prompt: ({ text }) => text }),
  );
  app.post(
    "/api",
    guardRoute(guard, {
      subject: (req) => req.get("x-user") ?? "",
      attributes: () => attributes,
      input,
      stream: true,
    }),
  );
  return () => guard.inFlight;
}

const app = express().disable("x-powered-by");
const inFlight = kind === "guarded" ? guarded(app) : bare(app);
/** CPU time that answering questions took. */
let askedMs = 0;
process.on("message", () => {
  const usedMs = cpuMs();
  const figures: AppFigures = {
    cpuMs: usedMs - askedMs,
    heldBytes: heldBytes(),
    residentBytes: process.memoryUsage.rss(),
    inFlight: inFlight(),
  };
  askedMs += cpuMs() - usedMs;
  process.send?.(figures);
});
const server = app.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  process.send?.((server.address() as AddressInfo).port);
});
server.keepAliveTimeout = 60_000;
