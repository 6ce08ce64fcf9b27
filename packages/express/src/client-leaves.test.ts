import { once } from "node:events";
import { Agent, createServer, request, type IncomingMessage, type Server } from "node:http";
import { connect, type AddressInfo } from "node:net";
import type { AdmissionStore } from "@sluice/contract";
import { createGuard, memoryAdmission, staticFlags } from "@sluice/guard";
import {
  fakeAdmissionStore,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeProvider,
  type SampleJob,
} from "@sluice/testkit";
import express, { type RequestHandler } from "express";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { guardRoute } from "./guard-route.ts";

const jobSchema = z.object({ prompt: z.string() });

/** One user at a time, so that a lease that leaks shows at the next request. */
const oneAtATime = () => memoryAdmission({ userInFlight: { limit: 1 } });

interface Setting {
  readonly port: number;
  readonly server: Server;
  readonly guard: ReturnType<typeof guardOf>;
  readonly provider: FakeProvider<SampleJob>;
  readonly outcomes: () => readonly string[];
  readonly openResponses: () => number;
}

function guardOf(
  provider: FakeProvider<SampleJob>,
  admission: AdmissionStore,
  sink: ReturnType<typeof recordingSink>["sink"],
) {
  return createGuard({
    ...sampleFeature,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    provider,
    admission,
    budget: { callsPerRun: 100, tokensPerRun: 1000, maxOutputTokens: 10 },
    sinks: [sink],
  });
}

async function listening(
  options: {
    readonly admission?: AdmissionStore;
    readonly provider?: FakeProvider<SampleJob>;
    readonly before?: RequestHandler;
  } = {},
): Promise<Setting> {
  const provider = options.provider ?? fakeProvider<SampleJob>();
  const recorded = recordingSink();
  const guard = guardOf(provider, options.admission ?? oneAtATime(), recorded.sink);
  const app = express();
  let open = 0;
  app.use((_req, res, next) => {
    open += 1;
    res.once("close", () => {
      open -= 1;
    });
    next();
  });
  if (options.before !== undefined) app.use(options.before);
  app.post(
    "/job",
    guardRoute(guard, { subject: () => "alice", input: jobSchema, run: () => "run-1" }),
  );
  const server = createServer(app);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    guard.close();
    server.closeAllConnections();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    server,
    guard,
    provider,
    openResponses: () => open,
    outcomes: () => {
      guard.flush();
      return recorded.of("outcome").map(({ failure_code, outcome }) => failure_code ?? outcome);
    },
  };
}

const body = JSON.stringify({ prompt: "hello" });

function send(port: number, agent?: Agent) {
  const sent = request({
    port,
    host: "127.0.0.1",
    path: "/job",
    method: "POST",
    headers: { "content-type": "application/json", "content-length": body.length },
    ...(agent === undefined ? {} : { agent }),
  });
  // The test ends it itself.
  sent.on("error", () => undefined);
  sent.end(body);
  return sent;
}

async function answerOf(sent: ReturnType<typeof send>) {
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode,
    body: JSON.parse(Buffer.concat(chunks).toString()) as unknown,
  };
}

const called = (provider: FakeProvider<SampleJob>, count = 1) =>
  vi.waitFor(() => expect(provider.calls).toHaveLength(count), { interval: 1 });
const freed = ({ guard }: Setting) =>
  vi.waitFor(() => expect(guard.inFlight).toBe(0), { interval: 1 });

/** Every place and permit is free again: the next request of the same user is answered. */
async function expectRoom(setting: Setting, callsBefore: number): Promise<void> {
  const next = send(setting.port);
  await called(setting.provider, callsBefore + 1);
  setting.provider.last().reply(valueReply(sampleAnswer));
  expect(await answerOf(next)).toEqual({ status: 200, body: sampleAnswer });
  expect(setting.guard.inFlight).toBe(0);
  expect(setting.guard.describe().providers[0]?.breaker).toBe("closed");
}

describe("I4 a client that goes away", () => {
  it("during the call aborts it and frees every hold", async () => {
    const setting = await listening();
    const sent = send(setting.port);
    await called(setting.provider);
    const { signal } = setting.provider.last().asked;
    expect(signal.aborted).toBe(false);
    sent.destroy();
    await vi.waitFor(() => expect(signal.aborted).toBe(true), { interval: 1 });
    await freed(setting);
    expect(setting.outcomes()).toEqual(["CLIENT_ABORTED"]);
    // What was dispatched stays charged whole, because nobody knows what it used.
    expect(setting.guard.budget.use("run-1").calls).toBe(1);
    await expectRoom(setting, 1);
  });

  it("by a reset of the connection is noticed too", async () => {
    const setting = await listening();
    const socket = connect(setting.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(
      `POST /job HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await called(setting.provider);
    socket.resetAndDestroy();
    await freed(setting);
    expect(setting.provider.last().asked.signal.aborted).toBe(true);
    await expectRoom(setting, 1);
  });

  it("while admission is asked leaves no call and nothing held or charged", async () => {
    const admission = fakeAdmissionStore({ limit: 1 });
    const setting = await listening({ admission });
    const sent = send(setting.port);
    await vi.waitFor(() => expect(admission.pending).toHaveLength(1), { interval: 1 });
    sent.destroy();
    await vi.waitFor(() => expect(setting.openResponses()).toBe(0), { interval: 1 });
    admission.pending[0]?.answer();
    await vi.waitFor(() => expect(setting.outcomes()).toEqual(["CLIENT_ABORTED"]), { interval: 1 });
    expect(setting.guard.inFlight).toBe(0);
    expect(setting.provider.calls).toHaveLength(0);
    expect(admission.held).toBe(0);
    expect(setting.guard.budget.use("run-1")).toEqual({ calls: 0, tokens: 0, costNanoUsd: 0 });
  });

  it("while its body is on the way is decided nothing for", async () => {
    const setting = await listening();
    const socket = connect(setting.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(
      'POST /job HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"prompt":',
    );
    await once(setting.server, "request");
    socket.destroy();
    await expectRoom(setting, 0);
    expect(setting.outcomes()).toEqual(["SUCCEEDED"]);
    expect(setting.guard.budget.use("run-1").calls).toBe(1);
  });

  it("before the route is reached calls no provider", async () => {
    const closed = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    let first = true;
    const slow: RequestHandler = (_req, res, next) => {
      if (!first) return next();
      first = false;
      arrived.resolve();
      res.once("close", () => {
        next();
        closed.resolve();
      });
    };
    const parse = express.json();
    const setting = await listening({
      before: (req, res, next) => parse(req, res, () => slow(req, res, next)),
    });
    const sent = send(setting.port);
    await arrived.promise;
    sent.destroy();
    await closed.promise;
    await freed(setting);
    expect(setting.provider.calls).toHaveLength(0);
    await expectRoom(setting, 0);
  });

  it("once is one of many: fifty at the same time leave nothing held", async () => {
    const setting = await listening({
      admission: memoryAdmission({ globalInFlight: { limit: 50 } }),
    });
    const sent = Array.from({ length: 50 }, () => send(setting.port));
    await called(setting.provider, 50);
    expect(setting.guard.inFlight).toBe(50);
    for (const one of sent) one.destroy();
    await freed(setting);
    for (const { asked } of setting.provider.calls) expect(asked.signal.aborted).toBe(true);
    await expectRoom(setting, 50);
  });
});

describe("a connection that is kept", () => {
  it("carries one request after another, and aborts none", async () => {
    const provider = fakeProvider<SampleJob>({
      onCall: (call) => call.reply(valueReply(sampleAnswer)),
    });
    const setting = await listening({ provider });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const sockets = new Set<unknown>();
    setting.server.on("connection", (socket) => sockets.add(socket));
    for (let i = 0; i < 20; i += 1) {
      expect(await answerOf(send(setting.port, agent))).toMatchObject({ status: 200 });
    }
    expect(sockets.size).toBe(1);
    for (const { asked } of provider.calls) expect(asked.signal.aborted).toBe(false);
  });

  it("that closes after the answer aborts nothing", async () => {
    const provider = fakeProvider<SampleJob>({
      onCall: (call) => call.reply(valueReply(sampleAnswer)),
    });
    const setting = await listening({ provider });
    const sent = send(setting.port);
    await answerOf(sent);
    sent.destroy();
    await freed(setting);
    expect(provider.last().asked.signal.aborted).toBe(false);
    expect(setting.outcomes()).toEqual(["SUCCEEDED"]);
  });
});
