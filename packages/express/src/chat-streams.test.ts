import { once } from "node:events";
import { Agent, request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { constants, createGzip, gunzipSync } from "node:zlib";
import type { ChatInput } from "@sluice/gateway";
import { memoryAdmission } from "@sluice/guard";
import { delta, FakeClock, type FakeCall } from "@sluice/testkit";
import express, { type RequestHandler } from "express";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  chatBody,
  chatGuard,
  chatProvider,
  listening,
  type ChatSetting,
} from "./chat-for-tests.ts";
import { chatGateway, type ChatGatewayOptions } from "./chat-gateway.ts";

type Options = Partial<ChatGatewayOptions<ChatInput, unknown, unknown, unknown>>;

/** Machines of many tests at once are slow. */
const patiently = { interval: 1, timeout: 10_000 };

async function streaming(
  setting: ChatSetting = {},
  options: Options = {},
  before: readonly RequestHandler[] = [],
) {
  const provider = chatProvider(() => undefined);
  const made = chatGuard({ provider, ...setting });
  const gateway = chatGateway({
    guard: made.guard,
    subject: () => "ann",
    legacy: (_req, res) => void res.json({ reply: "legacy" }),
    ...options,
  });
  const app = express();
  app.post("/api/chat", ...before, gateway);
  const port = await listening(app);
  const called = async (count = 1): Promise<FakeCall<ChatInput>> => {
    await vi.waitFor(() => expect(provider.calls).toHaveLength(count), patiently);
    return provider.last();
  };
  return { port, gateway, called, ...made };
}

function ask(port: number, accept = "text/event-stream", agent?: Agent) {
  const sent = request({
    port,
    path: "/api/chat",
    method: "POST",
    headers: { "content-type": "application/json", "content-length": chatBody.length, accept },
    ...(agent && { agent }),
  });
  sent.on("error", () => undefined);
  sent.end(chatBody);
  return sent;
}

/** What comes of an answer, as it comes. */
async function opened(sent: ReturnType<typeof ask>) {
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    text += chunk;
  });
  // `once` would reject with the error of a connection that is lost.
  response.on("error", () => undefined);
  const ended = Promise.withResolvers<void>();
  response.on("close", () => ended.resolve());
  return {
    response,
    ended: async () => {
      await ended.promise;
      return text;
    },
    has: (part: string) => vi.waitFor(() => expect(text).toContain(part), patiently),
  };
}

const idle = ({ guard, gateway }: Awaited<ReturnType<typeof streaming>>) =>
  vi.waitFor(() => expect([guard.inFlight, gateway.active]).toEqual([0, 0]), patiently);

/** As npm's compression does it. */
const compress: RequestHandler = (_req, res, next) => {
  const zip = createGzip();
  const write = res.write.bind(res) as (chunk: unknown) => boolean;
  const end = res.end.bind(res) as () => unknown;
  res.setHeader("content-encoding", "gzip");
  zip.on("data", (chunk) => write(chunk));
  zip.on("end", () => end());
  Object.assign(res, {
    write: (chunk: string) => zip.write(chunk),
    end: () => zip.end(),
    flush: () => zip.flush(constants.Z_SYNC_FLUSH),
  });
  next();
};

describe("a stream", () => {
  it("reaches the client piece by piece, while the model still speaks", async () => {
    const setting = await streaming();
    const sent = ask(setting.port);
    const call = await setting.called();
    call.emit(delta("one "));
    const { response, has, ended } = await opened(sent);
    await has("one ");
    call.emit(delta("two"));
    await has("two");
    call.emit({ type: "finish" });
    expect(await ended()).toMatch(/"type":"finish"/);
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      "sluice-path": "ai",
    });
    await idle(setting);
  });

  it("passes a middleware that compresses, piece by piece", async () => {
    const setting = await streaming({}, {}, [compress]);
    const sent = ask(setting.port);
    const call = await setting.called();
    call.emit(delta("one "));
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    const soFar = (): string =>
      gunzipSync(Buffer.concat(chunks), { finishFlush: constants.Z_SYNC_FLUSH }).toString();
    await vi.waitFor(() => expect(soFar()).toContain("one "), { interval: 1 });
    call.emit({ type: "finish" });
    await once(response, "end");
    expect(soFar()).toMatch(/"type":"finish"/);
  });

  it("I13 that is killed after its first words says so, and ends", async () => {
    const setting = await streaming();
    const sent = ask(setting.port);
    const call = await setting.called();
    call.emit(delta("some"));
    const { has, ended } = await opened(sent);
    await has("some");
    setting.guard.kill();
    expect(await ended()).toMatch(/"type":"failed"[^\n]*"KILLED"[^\n]*\n\n$/);
    expect(call.asked.signal.aborted).toBe(true);
    await idle(setting);
  });

  it.each([true, false])(
    "I13 may end before a drain's deadline, and is ended by it: %s",
    async (late) => {
      const clock = new FakeClock();
      const setting = await streaming({ clock }, { clock });
      const sent = ask(setting.port);
      const call = await setting.called();
      call.emit(delta("some"));
      const { has, ended } = await opened(sent);
      await has("some");
      const drained = setting.gateway.drain({ deadlineMs: 1000 });
      expect((await opened(ask(setting.port))).response.statusCode).toBe(503);
      await clock.advanceAsync(999);
      expect(setting.gateway.active).toBe(1);
      if (late) await clock.advanceAsync(1);
      else call.emit({ type: "finish" });
      await drained;
      expect(await ended()).toMatch(
        late ? /"failed"[^\n]*"KILLED"[^\n]*\n\n$/ : /"finish"[^\n]*\n\n$/,
      );
      expect(setting.gateway.active).toBe(0);
    },
  );
});

describe("I4 a client that leaves", () => {
  it.each(["application/json", "text/event-stream"])("ends the call: %s", async (accept) => {
    const setting = await streaming({ admission: memoryAdmission({ userInFlight: { limit: 1 } }) });
    const sent = ask(setting.port, accept);
    const call = await setting.called();
    if (call.streams) {
      call.emit(delta("some"));
      await (await opened(sent)).has("some");
    }
    sent.destroy();
    await idle(setting);
    expect(call.asked.signal.aborted).toBe(true);
  });

  it("while it sends is decided nothing for", async () => {
    const setting = await streaming();
    const socket = connect(setting.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(
      "POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
    );
    // Another one's answer: what came first was seen first.
    ask(setting.port);
    (await setting.called()).emit({ type: "finish" });
    socket.destroy();
    await idle(setting);
    setting.guard.flush();
    expect(setting.recorded.of("decision")).toHaveLength(1);
  });
});

/** 18 MB, which the buffers of two sockets don't hold. */
const pieces = Array.from({ length: 600 }, () => delta("€".repeat(10_000)));

/** Every buffer between the two is full. */
async function standsStill(call: FakeCall<ChatInput>): Promise<void> {
  let before = -1;
  const stands = (): void => {
    const { taken } = call;
    const isSame = taken === before && taken > 0;
    before = taken;
    expect(isSame).toBe(true);
  };
  await vi.waitFor(stands, { interval: 100, timeout: 10_000 });
}

describe("a client that takes nothing", () => {
  it("I12 slows the model, and what waits in memory is bounded", { timeout: 60_000 }, async () => {
    // By the machine's clock a slow one would have its client given up.
    const setting = await streaming({ bufferBytes: 64 * 1024, clock: new FakeClock() });
    const sent = ask(setting.port);
    const call = await setting.called();
    call.emit(...pieces);
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    await standsStill(call);
    expect(call.taken).toBeLessThan(500);
    call.emit({ type: "finish" });
    let length = 0;
    let last = "";
    for await (const chunk of response) {
      length += (chunk as Buffer).length;
      last = String(chunk);
    }
    expect(length).toBeGreaterThan(18_000_000);
    expect(last).toMatch(/\n\n$/);
    await idle(setting);
  });

  it("until the guard gives it up loses its connection", async () => {
    const clock = new FakeClock();
    const setting = await streaming({ bufferBytes: 64 * 1024, clock }, { clock });
    const sent = ask(setting.port);
    const call = await setting.called();
    call.emit(...pieces);
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const closed = Promise.withResolvers<void>();
    response.on("error", () => undefined).on("close", () => closed.resolve());
    await standsStill(call);
    await vi.waitFor(
      async () => {
        await clock.advanceAsync(1000);
        expect(setting.guard.inFlight).toBe(0);
      },
      { interval: 5, timeout: 10_000 },
    );
    setting.guard.flush();
    expect(setting.recorded.of("outcome")).toMatchObject([{ failure_code: "CLIENT_ABORTED" }]);
    response.resume();
    await closed.promise;
    expect(response.complete).toBe(false);
  });
});

describe("a connection that is kept", () => {
  it("carries one request after another, whatever became of them and of their bodies", async () => {
    const setting = await streaming(
      { provider: chatProvider((call) => call.emit(delta("text"), { type: "finish" })) },
      { bodyLimitBytes: 1000 },
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const sockets = new Set<unknown>();
    const post = async (body: string, type = "application/json", chunked = false) => {
      const sent = request({
        port: setting.port,
        path: "/api/chat",
        method: "POST",
        agent,
        headers: {
          "content-type": type,
          accept: "text/event-stream",
          ...(chunked ? {} : { "content-length": body.length }),
        },
      });
      sent.end(body);
      const [response] = (await once(sent, "response")) as [IncomingMessage];
      sockets.add(response.socket);
      response.resume();
      await once(response, "end");
      return response.statusCode;
    };
    const large = JSON.stringify({ messages: "x".repeat(500_000) });
    for (let i = 0; i < 3; i += 1) {
      expect(await post(chatBody)).toBe(200);
      expect(await post(large)).toBe(413);
      expect(await post(large, "application/json", true)).toBe(413);
      expect(await post("hello", "text/plain")).toBe(415);
      expect(await post("{")).toBe(400);
    }
    expect(sockets.size).toBe(1);
  });
});
