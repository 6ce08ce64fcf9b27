import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ChatInput } from "@sluice/gateway";
import { createGuard, staticFlags, type StaticFlags } from "@sluice/guard";
import { fakeProvider, sampleAnswer, sampleFeature, valueReply } from "@sluice/testkit";
import { ApiError } from "next/dist/server/api-utils/index.js";
import { apiResolver } from "next/dist/server/api-utils/node/api-resolver.js";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  pagesChatGateway,
  type ApiHandler,
  type PagesChatGatewayOptions,
} from "./pages-chat-gateway.ts";

const asked = JSON.stringify({ messages: [{ role: "user", content: "hello" }] });
const secrets = { previewModeId: "", previewModeEncryptionKey: "", previewModeSigningKey: "" };

/** An API route, called as Next calls it. */
async function served(handler: ApiHandler, bodyParser: boolean): Promise<() => Promise<Response>> {
  const server = createServer((req, res) => {
    const route = { default: handler, config: { api: { bodyParser } } };
    void apiResolver(req, res, {}, route, { ...secrets, dev: false }, false);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return () =>
    fetch(`http://127.0.0.1:${port}/api/chat`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: asked,
    });
}

function chat(flags: StaticFlags) {
  const provider = fakeProvider<ChatInput>({
    onCall: (call) => call.reply(valueReply(sampleAnswer)),
  });
  return createGuard({
    ...sampleFeature,
    stub: (_chat: ChatInput) => ({ status: "STUB", text: "the stub" }) as const,
    provider,
    flags,
  });
}

const flagsOf = (switches: object): StaticFlags =>
  staticFlags({ sample_ai: { enabled: true } }, { switches });

const headersOf = (response: Response): unknown =>
  [...response.headers].filter(([name]) => name !== "date");

/** It reads what Next has parsed, or else the request itself. */
const legacy: ApiHandler = async (req, res) => {
  let body = JSON.stringify(req.body);
  if (req.body === undefined) {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    body = Buffer.concat(chunks).toString();
  }
  res.status(200).json({ legacy: body });
};

const open = (
  switches: object,
  more: Partial<
    Pick<PagesChatGatewayOptions<ChatInput, never, never, never>, "legacy" | "subject">
  > = {},
) => {
  const flags = flagsOf(switches);
  const handler = pagesChatGateway({ guard: chat(flags), subject: () => "alice", ...more });
  return { flags, handler };
};

describe.each([true, false])("a chat gateway of the Pages Router, bodyParser %s", (bodyParser) => {
  it("answers, and hands the request over, body and all, where the gates divert", async () => {
    const { flags, handler } = open({ FF_CHAT_GATEWAY_ENABLED: true }, { legacy });
    const ask = await served(handler, bodyParser);
    const answer = await ask();
    expect(answer.headers.get("sluice-path")).toBe("ai");
    expect(await answer.json()).toEqual(sampleAnswer);
    flags.set("sample_ai", { percent: 0 });
    const diverted = await ask();
    expect(diverted.headers.get("sluice-path")).toBe("legacy");
    expect(await diverted.json()).toEqual({ legacy: asked });
  });

  it.each([{}, { FF_CHAT_GATEWAY_ENABLED: true, FF_CHAT_GATEWAY_SHADOW: true }])(
    "I6 leaves all to the legacy handler: %j",
    async (switches) => {
      const through = await (await served(open(switches, { legacy }).handler, bodyParser))();
      const plain = await (await served(legacy, bodyParser))();
      expect(await through.text()).toBe(await plain.text());
      expect(headersOf(through)).toEqual(headersOf(plain));
    },
  );

  it("has nothing to answer with while it is off and alone", async () => {
    const ask = await served(open({}).handler, bodyParser);
    expect((await ask()).status).toBe(503);
  });

  it("rejects with what the application throws, for Next to answer", async () => {
    const { handler } = open(
      { FF_CHAT_GATEWAY_ENABLED: true },
      {
        subject() {
          throw new ApiError(401, "no session");
        },
      },
    );
    const answer = await (await served(handler, bodyParser))();
    expect([answer.status, await answer.text()]).toEqual([401, "no session"]);
  });
});
