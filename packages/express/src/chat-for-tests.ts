import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import {
  defineContract,
  type AdmissionStore,
  type Clock,
  type FlagSource,
  type MetricSample,
  type Provider,
  type Switches,
} from "@sluice/contract";
import type { ChatInput } from "@sluice/gateway";
import { createGuard, staticFlags } from "@sluice/guard";
import { delta, fakeProvider, recordingSink, textReply, type FakeCall } from "@sluice/testkit";
import express, {
  type ErrorRequestHandler,
  type Express,
  type RequestHandler,
  type Response,
} from "express";
import request from "supertest";
import { onTestFinished } from "vitest";
import { z } from "zod";
import { chatGateway, type ChatGatewayOptions } from "./chat-gateway.ts";

const chatContract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
  text: { field: "reply", maxChars: 10_000_000 },
});

const usage = { inputTokens: 3, outputTokens: 2 };

/** Says `a good answer`, in three pieces where it flows. */
export function answering(call: FakeCall<ChatInput>): void {
  if (!call.streams) {
    call.reply(textReply("a good answer", usage));
    return;
  }
  call.emit(
    delta("a "),
    delta("good "),
    delta("answer"),
    { type: "usage", usage },
    { type: "finish" },
  );
}

export const chatProvider = (onCall: (call: FakeCall<ChatInput>) => void = answering) =>
  fakeProvider<ChatInput>({ streams: true, model: "a-model", onCall });

export const on: Partial<Switches> = { FF_CHAT_GATEWAY_ENABLED: true };
export const shadowed: Partial<Switches> = { ...on, FF_CHAT_GATEWAY_SHADOW: true };

export interface ChatSetting {
  readonly switches?: Partial<Switches>;
  readonly enabled?: boolean;
  readonly flags?: (source: FlagSource) => FlagSource;
  readonly provider?: Provider<ChatInput>;
  readonly admission?: AdmissionStore;
  readonly clock?: Clock;
  readonly onFailure?: "failed" | "stub";
  readonly metrics?: (sample: MetricSample) => unknown;
  readonly sink?: () => unknown;
  readonly bufferBytes?: number;
  /** Default: Express 5. */
  readonly host?: () => Express;
}

export function chatGuard(setting: ChatSetting = {}) {
  const samples: MetricSample[] = [];
  const recorded = recordingSink();
  const source = staticFlags(
    { chat_gateway: { enabled: setting.enabled ?? true } },
    { switches: setting.switches ?? on },
  );
  const guard = createGuard({
    feature: "chat_gateway",
    contract: chatContract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: (_input: ChatInput) => ({ status: "STUB", reply: "a person answers" }),
    provider: setting.provider ?? chatProvider(),
    flags: setting.flags?.(source) ?? source,
    onFailure: setting.onFailure ?? "failed",
    retry: { maxRetries: 0 },
    budget: { callsPerRun: 100, maxOutputTokens: 50 },
    prices: { "a-model": { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1 } },
    sinks: [setting.sink ?? recorded.sink],
    metrics: setting.metrics ?? ((sample) => samples.push(sample)),
    openTelemetry: false,
    ...(setting.admission && { admission: setting.admission }),
    ...(setting.clock && { clock: setting.clock }),
    ...(setting.bufferBytes !== undefined && {
      stream: { bufferBytes: setting.bufferBytes, stallMs: 1000 },
    }),
  });
  onTestFinished(() => guard.close());
  return { guard, source, samples, recorded };
}

export type ChatOptions = Partial<ChatGatewayOptions<ChatInput, unknown, unknown, unknown>>;

const shown: ErrorRequestHandler = (error, _req, res: Response, _next) => {
  res.status(500).json({ seen: error instanceof Error ? error.message : "?" });
};
const legacyAnswer: RequestHandler = (_req, res) => void res.json({ reply: "legacy" });

/** A route of a gateway, a next handler, and one for errors. */
export function chatApp(
  setting: ChatSetting = {},
  options: ChatOptions = {},
  before: readonly RequestHandler[] = [],
) {
  const provider = chatProvider(answering);
  const made = chatGuard({ provider, ...setting });
  const { guard } = made;
  const gateway = chatGateway({ guard, subject: () => "ann", legacy: legacyAnswer, ...options });
  const app = (setting.host ?? express)();
  for (const handler of before) app.use(handler);
  app.all("/api/chat", gateway);
  app.use("/api/chat", (_req, res) => void res.json({ reply: "the next handler" }));
  app.use(shown);
  return { app, gateway, provider, ...made };
}

export const message = { role: "user", content: "hello" };
const uiMessage = { id: "1", role: "user", parts: [{ type: "text", text: "hello" }] };

export interface Ask {
  readonly body: object;
  readonly accept?: string;
  /** What an answer ends with. */
  readonly ends: RegExp;
  readonly streams?: true;
  /** Where everything is 200 that is not refused. */
  readonly alwaysOk?: true;
}

export const jsonAsk: Ask = { body: { messages: [message] }, ends: /\}$/ };

/** One request in each wire format. */
export const asks: Readonly<Record<string, Ask>> = {
  JSON: jsonAsk,
  "JSON as events": {
    body: { messages: [message] },
    accept: "text/event-stream",
    ends: /data: \{"type":"(?:finish|failed)"[^\n]*\n\n$/,
    streams: true,
  },
  "the UI message stream": {
    body: { id: "c", trigger: "submit-message", messages: [uiMessage] },
    ends: /"type":"finish"[^\n]*\n\ndata: \[DONE\]\n\n$/,
    streams: true,
    alwaysOk: true,
  },
  "OpenAI's wire": { body: { model: "m", messages: [message] }, ends: /\}$/ },
  "OpenAI's stream": {
    body: { model: "m", messages: [message], stream: true },
    ends: /data: \[DONE\]\n\n$/,
    streams: true,
  },
};

export const ask = (app: Express, { body, accept = "application/json" }: Ask) =>
  request(app).post("/api/chat").set("accept", accept).send(body);

/** An app that listens, until the test is over; its port. */
export async function listening(app: Express): Promise<number> {
  const server = createServer(app);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

export const chatBody = JSON.stringify({ messages: [{ role: "user", content: "hello" }] });

export interface RawRequest {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** The body goes in so many chunks. Default: whole, with its length. */
  readonly chunks?: number;
}

/** One request over a connection of its own; every byte that came back, but for the date. */
export async function rawAnswer(port: number, raw: RawRequest): Promise<string> {
  const { path, method = "POST", headers = {}, body = chatBody, chunks } = raw;
  const bytes = Buffer.from(body);
  const framing =
    chunks === undefined
      ? { "content-length": String(bytes.length) }
      : { "transfer-encoding": "chunked" };
  const given = {
    host: "app",
    connection: "close",
    "content-type": "application/json",
    ...framing,
    ...headers,
  };
  const head = Object.entries(given).map(([name, value]) => `${name}: ${value}\r\n`);
  const socket = connect(port, "127.0.0.1");
  const received: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => received.push(chunk));
  socket.on("error", () => undefined);
  socket.write(`${method} ${path} HTTP/1.1\r\n${head.join("")}\r\n`);
  if (chunks === undefined) socket.write(bytes);
  else writeChunks(socket, bytes, chunks);
  await once(socket, "close");
  return Buffer.concat(received)
    .toString("latin1")
    .replace(/^Date: .*$/m, "Date: today");
}

function writeChunks(socket: NodeJS.WritableStream, bytes: Buffer, count: number): void {
  const size = Math.max(1, Math.ceil(bytes.length / count));
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    socket.write(`${piece.length.toString(16)}\r\n`);
    socket.write(piece);
    socket.write("\r\n");
  }
  socket.write("0\r\n\r\n");
}
