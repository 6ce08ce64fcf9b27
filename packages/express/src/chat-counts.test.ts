import { request as httpRequest } from "node:http";
import type { ChatInput } from "@sluice/gateway";
import { delta, FakeClock, type FakeCall } from "@sluice/testkit";
import express, { type RequestHandler } from "express";
import request from "supertest";
import { describe, expect, it, vi } from "vitest";
import {
  answering,
  chatBody,
  chatGuard,
  chatProvider,
  listening,
  on,
  shadowed,
  type ChatSetting,
} from "./chat-for-tests.ts";
import { chatGateway } from "./chat-gateway.ts";
import { countResponses } from "./count-responses.ts";

function appWith(
  setting: ChatSetting = {},
  more: { counts?: boolean; before?: RequestHandler } = {},
) {
  const clock = new FakeClock();
  const made = chatGuard({ clock, ...setting });
  const { guard, samples } = made;
  const legacy: RequestHandler = (_req, res) => {
    clock.advance(30);
    res.status(202).json({ reply: "legacy" });
  };
  const app = express();
  if (more.counts === true) app.use(countResponses(guard));
  if (more.before !== undefined) app.use(more.before);
  app.post("/", chatGateway({ guard, subject: () => "ann", legacy, clock }));
  const responses = async (): Promise<readonly unknown[]> => {
    const told = await vi.waitFor(
      () => {
        guard.flush();
        const found = samples.filter((sample) => sample.kind === "response");
        expect(found).not.toEqual([]);
        return found;
      },
      { interval: 1 },
    );
    return told.map(({ status, arm, provider, firstByteMs }) => [
      status,
      arm,
      provider,
      firstByteMs,
    ]);
  };
  const post = (accept = "application/json") =>
    request(app).post("/").set("accept", accept).set("content-type", "application/json");
  return { app, clock, responses, post, ...made };
}

const slow = (clock: () => FakeClock) => (call: FakeCall<ChatInput>) => {
  clock().advance(20);
  if (!call.streams) return answering(call);
  call.emit(delta("some"));
  setImmediate(() => {
    clock().advance(500);
    call.emit({ type: "finish" });
  });
};

describe("a response of the gateway counts once, with its arm and how soon it began", () => {
  it.each(["application/json", "text/event-stream"])("answered: %s", async (accept) => {
    const app = appWith({ provider: chatProvider(slow(() => app.clock)) });
    await app.post(accept).send(chatBody).expect(200);
    expect(await app.responses()).toEqual([[200, "ai", "fake", 20]]);
  });

  it("handed over to the legacy handler", async () => {
    const app = appWith({ enabled: true, switches: on, flags: notIn });
    await app.post().send(chatBody).expect(202);
    expect(await app.responses()).toEqual([[202, "legacy", undefined, 30]]);
  });

  it("refused for its body", async () => {
    const app = appWith();
    await app.post().send("{").expect(400);
    expect(await app.responses()).toEqual([[400, "none", undefined, 0]]);
  });

  it("beside the legacy handler, in its arm", async () => {
    const app = appWith({ switches: shadowed });
    await app.post().send(chatBody).expect(202);
    expect(await app.responses()).toEqual([[202, "legacy", undefined, 30]]);
  });
});

/** Open, and nobody is in its percentage. */
const notIn: NonNullable<ChatSetting["flags"]> = (source) => ({
  ...source,
  read: (feature) => ({ ...source.read(feature), percent: 1, salt: "salt-of-nobody" }),
});

describe("countResponses before it", () => {
  it("counts what the legacy handler answers in its stage, which the gateway leaves alone", async () => {
    const alone = appWith({ switches: {} });
    await alone.post().send(chatBody).expect(202);
    alone.guard.flush();
    expect(alone.samples).toEqual([]);
    const counted = appWith({ switches: {} }, { counts: true });
    await counted.post().send(chatBody).expect(202);
    expect(await counted.responses()).toMatchObject([[202, "none", undefined, expect.any(Number)]]);
  });

  it("counts a response once, and who was refused before", async () => {
    const app = appWith({}, { counts: true });
    await app.post().send(chatBody).expect(200);
    expect(await app.responses()).toMatchObject([[200, "ai", "fake", expect.any(Number)]]);
    const refused = appWith(
      {},
      { counts: true, before: (_req, res) => void res.status(401).end() },
    );
    await refused.post().send(chatBody).expect(401);
    expect(await refused.responses()).toMatchObject([[401, "none", undefined, expect.any(Number)]]);
  });
});

it("a client that leaves before it is sent any counts as 499, in the arm of its decision", async () => {
  const provider = chatProvider(() => undefined);
  const { app, responses } = appWith({ provider });
  const port = await listening(app);
  const sent = httpRequest({
    port,
    method: "POST",
    headers: { "content-type": "application/json" },
  });
  sent.on("error", () => undefined);
  sent.end(chatBody);
  await vi.waitFor(() => expect(provider.calls).toHaveLength(1), { interval: 1 });
  sent.destroy();
  expect(await responses()).toEqual([[499, "ai", "fake", undefined]]);
});
