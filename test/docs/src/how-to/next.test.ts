import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { drainGateways } from "@sluice/next";
import { chatCompletion, sendJson, startUpstream, type Upstream } from "@sluice/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { POST } from "./next/app/api/chat/route.ts";
import { mount, type Surroundings } from "./next/fetch-hosts.ts";
import { register } from "./next/instrumentation.ts";

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

const question = { messages: [{ role: "user", content: "Where is the key?" }] };
const enabled = { FEATURE_CHAT_AI: "true", FF_CHAT_GATEWAY_ENABLED: "true" };
const legacy = { reply: "Ask a person.", asked: 1 };
const answer = { status: "OK", reply: "In the drawer." };

/** The flags of the environment, and an upstream that the guard finds when it is made. */
function environment(flags: Readonly<Record<string, string>>): void {
  const all = { OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: upstream.url, ...flags };
  for (const [name, value] of Object.entries(all)) vi.stubEnv(name, value);
}

const cases = [
  ["unset", {}, legacy],
  ["in shadow", { ...enabled, FF_CHAT_GATEWAY_SHADOW: "true" }, legacy],
  ["enabled", enabled, answer],
  ["killed", { ...enabled, CHAT_AI_KILL: "true" }, legacy],
] as const;

const post = (): Request =>
  new Request("http://app.test/api/chat", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(question),
  });

describe("the route of the App Router", () => {
  it.each(cases)("answers while the flags are %s", async (_, flags, body) => {
    environment(flags);
    // As Next's own request has it.
    const request = Object.assign(post(), { cookies: { get: () => ({ value: "user-1" }) } });
    const response = await POST(request as unknown as Parameters<typeof POST>[0]);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(body);
  });
});

describe("the route of the Pages Router", () => {
  it.each(cases)("answers while the flags are %s", async (_, flags, body) => {
    environment(flags);
    const { default: handler } = await import("./next/pages/api/chat.ts");
    type Asked = Parameters<typeof handler>;
    const server = createServer((req, res) => {
      // As Next's own server parses both.
      const parsed = Object.assign(req, { cookies: { session: "user-1" }, body: question });
      void handler(parsed as unknown as Asked[0], res as unknown as Asked[1]);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(question),
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(body);
    server.close();
  });
});

function mounted() {
  const routes = new Map<string, Parameters<Surroundings["app"]["post"]>[1]>();
  const app: Surroundings["app"] = { post: (path, handler) => void routes.set(path, handler) };
  return { ...mount({ app, userOf: () => ({ id: "user-1" }) }), routes };
}

describe("the gateway of other hosts", () => {
  it.each(cases)("answers while the flags are %s", async (_, flags, body) => {
    environment(flags);
    const { routes, action, server } = mounted();
    const raw = post();
    const responses = [
      await routes.get("/api/chat")?.({ req: { raw } }),
      await action({ request: post() }),
      await server.fetch(post()),
    ];
    for (const response of responses) expect(await response?.json()).toEqual(body);
  });
});

describe("the instrumentation of the page", () => {
  it("drains at SIGTERM: nobody is let in any more", async () => {
    environment(enabled);
    const before = process.listeners("SIGTERM");
    register();
    const added = process.listeners("SIGTERM").filter((listener) => !before.includes(listener));
    expect(added).toHaveLength(1);
    // Nobody sends it here: the process is the tests' own.
    for (const listener of added) process.removeListener("SIGTERM", listener);
    await drainGateways();
    const request = Object.assign(post(), { cookies: { get: () => ({ value: "user-1" }) } });
    const response = await POST(request as unknown as Parameters<typeof POST>[0]);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
  });
});
