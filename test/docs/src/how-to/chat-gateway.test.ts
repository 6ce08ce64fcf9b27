import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { switchNames } from "@sluice/contract";
import { protocolNames, skipCauses } from "@sluice/gateway";
import { chatCompletion, sendJson, startUpstream, type Upstream } from "@sluice/testkit";
import express from "express";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { ask } from "../ask.ts";
import { askGateway, bodies, openGateway, spent } from "../observe-gateway.ts";
import { codesOf, readPage, tableUnder, type Table } from "../read-page.ts";
import { readText } from "../repository.ts";
import { mount, mountWatching, onSigterm, type Surroundings } from "./chat-gateway.ts";

let upstream: Upstream;

beforeAll(async () => {
  upstream = await startUpstream((res) => sendJson(res, chatCompletion("In the drawer.")));
});

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(async () => {
  await upstream.close();
});

const open = { FEATURE_CHAT_AI: "true" };
const enabled = { ...open, FF_CHAT_GATEWAY_ENABLED: "true" };
const question = { messages: [{ role: "user", content: "Where is the key?" }] };

/** What the page takes for granted, with the flags of the environment. */
function surroundings(flags: Readonly<Record<string, string>>): Surroundings {
  const environment = { OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: upstream.url, ...flags };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  const legacyChat = express.Router();
  legacyChat.use(express.json(), (req, res) => {
    res.json({ text: "Ask a person.", asked: (req.body as typeof question).messages.length });
  });
  return {
    app: express(),
    legacyChat,
    userOf: () => ({ id: "user-1" }),
  };
}

const legacy = { text: "Ask a person.", asked: 1 };
const answer = { status: "OK", reply: "In the drawer." };

describe("the tables of the page", () => {
  const page = readPage(readText("docs/how-to/chat-gateway.md"));

  it("have every cause for which a shadow leaves a request alone", () => {
    const table = tableUnder(page, "Watch it before it answers");
    expect(codesOf(table, "cause")).toEqual(skipCauses);
  });

  it("have every switch", () => {
    const stages = codesOf(page.tables[0] as Table, "flags").filter((code) => code !== "true");
    const limits = codesOf(tableUnder(page, "Enforce limits one by one"), "flag");
    expect(new Set([...stages, ...limits])).toEqual(new Set(switchNames));
  });

  it("have every wire format", () => {
    const table = tableUnder(page, "Wire formats");
    expect(codesOf(table, "`protocol`")).toEqual(protocolNames);
  });
});

describe("the gateway of the page", () => {
  it.each([
    ["unset", {}, legacy],
    ["the feature's alone", open, legacy],
    ["in shadow", { ...enabled, FF_CHAT_GATEWAY_SHADOW: "true" }, legacy],
    ["enabled", enabled, answer],
    ["enabled for nobody", { ...enabled, CHAT_AI_ROLLOUT_PERCENT: "0" }, legacy],
    ["killed", { ...enabled, CHAT_AI_KILL: "true" }, legacy],
    ["unclear", { ...enabled, FF_CHAT_GATEWAY_SHADOW: "maybe" }, legacy],
  ])("answers while the flags are %s", async (_, flags, body) => {
    const at = surroundings(flags);
    mount(at);
    expect(await ask(at.app, "/api/chat", question)).toMatchObject({ status: 200, body });
  });

  it("speaks to an OpenAI client that is given its address", async () => {
    const at = surroundings(enabled);
    const { gateway } = mount(at);
    at.app.post("/api/openai/chat/completions", gateway);
    const server = at.app.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const client = new OpenAI({ apiKey: "any", baseURL: `http://127.0.0.1:${port}/api/openai` });
    const completion = await client.chat.completions.create({
      model: "any",
      messages: [{ role: "user", content: "Where is the key?" }],
    });
    expect(completion.choices[0]?.message.content).toBe("In the drawer.");
    server.close();
  });

  it("tells useChat of a refusal in the sentence of the page", async () => {
    const refused = await askGateway(
      openGateway({ admission: spent() }),
      bodies["ui-message-stream"],
    );
    const sentence = (await refused.text()).replace(/\d+/, "12");
    expect(readText("docs/how-to/chat-gateway.md")).toContain(`*${sentence}*`);
  });

  it("watches, and its legacy answers compare under the contract", async () => {
    const at = surroundings({ ...enabled, FF_CHAT_GATEWAY_SHADOW: "true" });
    const { watching } = mountWatching(at);
    expect(await ask(at.app, "/api/chat", question)).toMatchObject({ status: 200, body: legacy });
    expect(Object.values(watching.shadow.skipped).every((count) => count === 0)).toBe(true);
  });

  it("drains on SIGTERM", async () => {
    const at = surroundings(enabled);
    const mounted = mount(at);
    const server = at.app.listen(0, "127.0.0.1");
    await once(server, "listening");
    onSigterm(server, mounted);
    const closed = once(server, "close");
    const [drain] = process.listeners("SIGTERM").slice(-1);
    // Nobody sends it here: the process is the tests' own.
    process.removeListener("SIGTERM", drain as () => void);
    (drain as unknown as () => void)();
    await closed;
    expect(await ask(at.app, "/api/chat", question)).toMatchObject({ status: 503 });
  });
});
