import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chatCompletion, sendJson, type UpstreamAnswer } from "@sluice/testkit";
import type { Express } from "express";
import request from "supertest";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { chatContract } from "./chat-contract.ts";
import { createApp } from "./create-app.ts";
import { createFlagsFile } from "./flags-file.ts";
import { chat, on, openApp, stateOf, untilState } from "./open-app-for-tests.ts";

/** Stands for what a person writes; nothing printed, and no error, may hold it. */
const sentinel = "sentinel-9be1";

const setUp = (flags: string | undefined, answer?: UpstreamAnswer, secondAnswer?: UpstreamAnswer) =>
  openApp({ flags, answer, secondAnswer });

const legacyAnswer = { status: "OK", reply: "Hello! Ask about billing or your account." };

const ownHeaders = (headers: object) =>
  Object.keys(headers).filter((name) => name.startsWith("sluice"));

describe("the legacy handler", () => {
  it.each([
    ["no switch", "FEATURE_CHAT_AI=true\n"],
    ["a gateway that is off", `${on}FF_CHAT_GATEWAY_ENABLED=false\n`],
    ["a gateway of True", `${on}FF_CHAT_GATEWAY_ENABLED=True\n`],
    ["a gateway of 1", `${on}FF_CHAT_GATEWAY_ENABLED=1\n`],
    ["a gateway of yes", `${on}FF_CHAT_GATEWAY_ENABLED=yes\n`],
    ["shadow", `${on}FF_CHAT_GATEWAY_SHADOW=true\n`],
    ["an unclear shadow", `${on}FF_CHAT_GATEWAY_SHADOW=perhaps\n`],
    ["an empty file", ""],
    ["no file", undefined],
  ])("answers untouched with %s", async (_, text) => {
    const { app, upstream } = await setUp(text);
    const response = await chat(app).expect(200);
    expect(response.body).toEqual(legacyAnswer);
    expect(ownHeaders(response.headers)).toEqual([]);
    expect(upstream.requests).toHaveLength(0);
  });

  it("answers as it would without Sluice, header for header", async () => {
    const { app, edit } = await setUp("");
    const before = await chat(app);
    await edit(`${on}FF_CHAT_GATEWAY_SHADOW=true\n`);
    await untilState(app, { shut: null });
    const shadowed = await chat(app);
    expect({ ...shadowed.headers, date: "" }).toEqual({ ...before.headers, date: "" });
    expect(shadowed.text).toBe(before.text);
  });

  it.each([
    [{}, 400],
    [{ messages: "no" }, 400],
    [{ messages: [] }, 200],
    [{ messages: [null, 7, "x", {}, { role: "user" }] }, 200],
    [{ messages: [{ role: "user", content: { toString: 1 } }] }, 200],
    [{ messages: [{ role: "user", content: ["hello"] }] }, 200],
  ])("answers %j with %i", async (body, status) => {
    const { app } = await setUp("");
    const response = await request(app).post("/api/chat").send(body);
    expect(response.status).toBe(status);
  });
});

/** Frames of a streamed completion, as OpenAI sends them. */
const frames = (...texts: readonly string[]): string =>
  [
    ...texts.map((content) => ({ choices: [{ index: 0, delta: { content } }] })),
    { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] },
  ]
    .map((frame) => `data: ${JSON.stringify(frame)}\n\n`)
    .join("");

const streaming =
  (...texts: readonly string[]): UpstreamAnswer =>
  (res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.end(`${frames(...texts)}data: [DONE]\n\n`);
  };

const eventsOf = (text: string): readonly { readonly type: string; readonly text?: string }[] =>
  text
    .split("\n\n")
    .filter((frame) => frame !== "")
    .map((frame) => JSON.parse(frame.replace(/^data: /, "")) as { readonly type: string });

const askStream = (app: Express) => chat(app).set("accept", "text/event-stream").buffer(true);

describe("the gateway, asked for a stream", () => {
  it("lets the model's text flow, piece by piece", async () => {
    const { app } = await setUp(on, streaming("from ", "the model"));
    const response = await askStream(app).expect(200);
    expect(response.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    expect(response.headers["sluice-path"]).toBe("ai");
    expect(eventsOf(response.text)).toEqual([
      { type: "text-delta", text: "from " },
      { type: "text-delta", text: "the model" },
      {
        type: "finish",
        status: "SUCCEEDED",
        path: "ai",
        value: { status: "OK", reply: "from the model" },
      },
    ]);
  });

  it("hands over to the legacy handler, which knows no streams, where the request is diverted", async () => {
    const { app } = await setUp(`${on}CHAT_AI_ROLLOUT_PERCENT=0\n`, streaming("no"));
    const response = await chat(app).set("accept", "text/event-stream").expect(200);
    expect(response.headers["sluice-path"]).toBe("legacy");
    expect(response.body).toEqual(legacyAnswer);
  });

  it("answers with a status where it fails before any content", async () => {
    const { app } = await setUp(on, (res) => sendJson(res, { error: {} }, 400));
    const response = await askStream(app).expect(502);
    expect(response.body).toEqual({ status: "FAILED", code: "PROVIDER_BAD_REQUEST" });
  });

  it("I13 ends with a failed event where the model is cut off after content", async () => {
    const { app } = await setUp(on, (res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      const [first] = frames("half").split("\n\n");
      res.write(`${first}\n\n`, () => res.socket?.destroy());
    });
    const response = await askStream(app).expect(200);
    expect(eventsOf(response.text)).toMatchObject([
      { type: "text-delta", text: "half" },
      { type: "failed", code: "STREAM_CUT", value: { status: "FAILED" } },
    ]);
  });
});

const broken: UpstreamAnswer = (res) => sendJson(res, { error: {} }, 503);
const standIn: UpstreamAnswer = (res) => sendJson(res, chatCompletion("from the second"));

describe("two providers", () => {
  it("stand in for each other where the switch says so", async () => {
    const { app } = await setUp(`${on}FF_PROVIDER_FAILOVER_ENABLED=true\n`, broken, standIn);
    const response = await chat(app).expect(200);
    expect(response.body).toEqual({ status: "OK", reply: "from the second" });
    const decision = response.headers["sluice-decision"] as string;
    const note = await request(app).get(`/api/decisions/${decision}`);
    expect(note.body).toMatchObject({ provider: "custom", fallback: true });
  });

  it("are one while the switch is off", async () => {
    const { app } = await setUp(on, broken, standIn);
    expect((await chat(app)).status).toBe(502);
  });
});

describe("the gateway", () => {
  it("answers by the model under the contract, with its path and decision", async () => {
    const { app, upstream } = await setUp(on);
    const response = await chat(app).expect(200);
    expect(response.body).toEqual({ status: "OK", reply: "from the model" });
    expect(response.headers["sluice-path"]).toBe("ai");
    expect(response.headers["sluice-decision"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(upstream.requests).toHaveLength(1);
    expect(JSON.parse(upstream.requests[0]?.body ?? "")).toMatchObject({
      model: "gpt-4o-mini",
      max_completion_tokens: 800,
      messages: [{ role: "system" }, { role: "user", content: "Hello, how are you?" }],
    });
  });

  it.each([
    ["a feature that is off", "FEATURE_CHAT_AI=false\n", "FLAG_OFF"],
    ["a feature of TRUE", "FEATURE_CHAT_AI=TRUE\n", "FLAG_OFF"],
    ["no feature", "FEATURE_CHAT_AI=\n", "FLAG_OFF"],
    ["a kill", "CHAT_AI_KILL=true\n", "KILLED"],
    ["an unclear kill", "CHAT_AI_KILL=flase\n", "KILLED"],
    ["a kill of no", "CHAT_AI_KILL=no\n", "KILLED"],
    ["0 %", "CHAT_AI_ROLLOUT_PERCENT=0\n", "NOT_IN_ROLLOUT"],
    ["a malformed percentage", "CHAT_AI_ROLLOUT_PERCENT=10%\n", "NOT_IN_ROLLOUT"],
    ["an empty list", "CHAT_AI_ALLOWLIST=\n", "NOT_ALLOWLISTED"],
    ["a list of others", "CHAT_AI_ALLOWLIST=bob\n", "NOT_ALLOWLISTED"],
  ])("lets the legacy handler answer with %s, and asks no model", async (_, line, code) => {
    const { app, upstream } = await setUp(on + line);
    const response = await chat(app).expect(200);
    expect(response.body).toEqual(legacyAnswer);
    expect(response.headers["sluice-path"]).toBe("legacy");
    const decision = response.headers["sluice-decision"] ?? "";
    const note = await request(app).get(`/api/decisions/${decision}`).expect(200);
    expect(note.body).toMatchObject({ path: "legacy", status: "STUBBED", code });
    expect(upstream.requests).toHaveLength(0);
  });

  it.each(["false", "0", ""])("takes a kill of %j as none", async (value) => {
    const { app } = await setUp(`${on}CHAT_AI_KILL=${value}\n`);
    const response = await chat(app).expect(200);
    expect(response.headers["sluice-path"]).toBe("ai");
  });

  it("follows the file", async () => {
    const { app, edit } = await setUp(on);
    expect((await chat(app)).headers["sluice-path"]).toBe("ai");
    await edit(`${on}CHAT_AI_KILL=true\n`);
    await untilState(app, { shut: "KILLED" });
    expect((await chat(app)).headers["sluice-path"]).toBe("legacy");
    await edit("");
    await untilState(app, { stage: "legacy" });
    expect(ownHeaders((await chat(app)).headers)).toEqual([]);
    await edit(on);
    await untilState(app, { stage: "authoritative", shut: null });
    expect((await chat(app)).headers["sluice-path"]).toBe("ai");
  });

  it.each<[what: string, answer: UpstreamAnswer, status: number, code: string]>([
    [
      "500",
      (res) => sendJson(res, { error: { message: sentinel } }, 500),
      502,
      "PROVIDER_UNAVAILABLE",
    ],
    ["garbage", (res) => void res.end(sentinel), 502, "PROVIDER_UNAVAILABLE"],
    [
      "a refusal",
      (res) => sendJson(res, chatCompletion(null, { message: { refusal: sentinel } })),
      502,
      "REFUSED",
    ],
    [
      "more than the contract takes",
      (res) => sendJson(res, chatCompletion(sentinel.repeat(2000))),
      502,
      "OUTPUT_SCHEMA_INVALID",
    ],
    ["nothing", (res) => sendJson(res, chatCompletion("")), 502, "OUTPUT_SCHEMA_INVALID"],
    ["a reset", (res) => res.socket?.resetAndDestroy(), 502, "PROVIDER_UNAVAILABLE"],
  ])(
    "answers FAILED under the contract when the model answers %s",
    async (_, answer, status, code) => {
      const { app } = await setUp(on, answer);
      const response = await chat(app).expect(status);
      expect(chatContract.failed.parse(response.body)).toEqual({ status: "FAILED", code });
      expect(response.text).not.toContain(sentinel);
    },
  );

  it.each([
    [{}, 400],
    [{ messages: [] }, 400],
    [{ messages: [{ role: "user" }] }, 400],
    [{ messages: [{ role: "user", content: "" }] }, 400],
    [{ messages: [{ role: "tool", content: sentinel }] }, 400],
    [{ messages: [{ role: "user", content: sentinel.repeat(4000) }] }, 400],
    [{ messages: Array.from({ length: 101 }, () => ({ role: "user", content: "x" })) }, 400],
    [{ messages: [{ role: "user", content: sentinel.repeat(100_000) }] }, 413],
  ])("refuses a wrong body, case %#, with problem details", async (body, status) => {
    const { app, upstream } = await setUp(on);
    const response = await request(app).post("/api/chat").send(body).expect(status);
    expect(response.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
    expect(response.text).not.toContain(sentinel);
    expect(upstream.requests).toHaveLength(0);
  });
});

describe("the kill button", () => {
  const flagsText = `# Flags\n${on}CHAT_AI_KILL=false\r\nCHAT_AI_ROLLOUT_PERCENT=100\n# end`;

  it("kills at once, in the file too, and leaves the rest of the file", async () => {
    const { app, flagsFile, upstream } = await setUp(flagsText);
    await request(app).post("/api/kill").expect(200, { killed: true });
    expect(await readFile(flagsFile, "utf8")).toBe(
      flagsText.replace("CHAT_AI_KILL=false", "CHAT_AI_KILL=true"),
    );
    expect((await chat(app)).body).toEqual(legacyAnswer);
    expect(upstream.requests).toHaveLength(0);
  });

  it("restores what it killed, once the file says so", async () => {
    const { app, flagsFile } = await setUp(flagsText);
    await request(app).post("/api/kill").expect(200);
    await untilState(app, { shut: "KILLED" });
    await request(app).post("/api/restore").expect(200, { killed: false });
    expect(await readFile(flagsFile, "utf8")).toBe(flagsText);
    await untilState(app, { shut: null });
    expect((await chat(app)).headers["sluice-path"]).toBe("ai");
  });

  it("aborts what is in flight, which the legacy handler answers with no error", async () => {
    const { app, upstream } = await setUp(flagsText, () => undefined);
    const waiting = chat(app).then((response) => response);
    await upstream.received(1);
    await request(app).post("/api/kill").expect(200);
    const response = await waiting;
    expect(response.status).toBe(200);
    expect(response.body).toEqual(legacyAnswer);
    await upstream.settled();
  });

  it("that is pressed while a restore is on its way wins", async () => {
    const { app, flagsFile } = await setUp(flagsText);
    await request(app).post("/api/kill").expect(200);
    const pressed = ["restore", "kill", "restore", "restore", "kill"];
    await Promise.all(pressed.map((name) => request(app).post(`/api/${name}`).expect(200)));
    await request(app).post("/api/kill").expect(200);
    expect(await readFile(flagsFile, "utf8")).toContain("CHAT_AI_KILL=true");
    expect(await stateOf(app)).toMatchObject({ shut: "KILLED" });
  });

  it("kills this process also where the file can't be written, and says so", async () => {
    const { app, parts, flagsFile } = await setUp(flagsText);
    const { killSwitch } = createFlagsFile(join(flagsFile, "no", "such", "folder.env"));
    const { app: lost } = createApp({ ...parts, killSwitch });
    const killed = await request(lost).post("/api/kill").expect(500);
    expect(killed.body).toMatchObject({ killed: true });
    expect(await stateOf(app)).toMatchObject({ shut: "KILLED" });
    await request(lost).post("/api/restore").expect(500);
    expect(await stateOf(app)).toMatchObject({ shut: "KILLED" });
  });

  it.each(["cross-site", "same-site", "unheard-of"])(
    "is not pressed by a %s page",
    async (site) => {
      const { app, flagsFile } = await setUp(flagsText);
      for (const name of ["kill", "restore"]) {
        await request(app).post(`/api/${name}`).set("sec-fetch-site", site).expect(403);
      }
      expect(await readFile(flagsFile, "utf8")).toBe(flagsText);
      expect(await stateOf(app)).toMatchObject({ shut: null });
    },
  );

  it.each(["https://evil.example", "http://127.0.0.1:1", "null", "x"])(
    "is not pressed by a page of %s, where the browser tells no site",
    async (origin) => {
      const { app } = await setUp(flagsText);
      for (const name of ["kill", "restore"]) {
        const response = await request(app).post(`/api/${name}`).set("origin", origin);
        expect(response.status).toBe(403);
      }
    },
  );

  it("is pressed by a page of its own host", async () => {
    const { app } = await setUp(flagsText);
    const press = request(app).post("/api/kill").set("host", "chat.example:8080");
    const response = await press.set("origin", "http://chat.example:8080");
    expect(response.body).toEqual({ killed: true });
  });

  it.each(["same-origin", "none"])("is pressed by a %s page", async (site) => {
    const { app } = await setUp(flagsText);
    const response = await request(app).post("/api/kill").set("sec-fetch-site", site);
    expect(response.body).toEqual({ killed: true });
  });
});

describe("the state", () => {
  it("says what is malformed, by its name", async () => {
    const { app } = await setUp(`${on}CHAT_AI_ROLLOUT_PERCENT=1e2\n`);
    expect(await stateOf(app)).toMatchObject({
      stage: "authoritative",
      percent: 0,
      problems: [expect.stringContaining("CHAT_AI_ROLLOUT_PERCENT")],
    });
  });

  it("counts outcomes", async () => {
    const { app } = await setUp(on);
    await chat(app);
    await chat(app);
    expect((await stateOf(app)).counts.answers).toEqual({ ai: 2 });
  });

  it("knows no decision that was not made", async () => {
    const { app } = await setUp(on);
    for (const id of ["x", "__proto__", "constructor", "%00", encodeURIComponent("../../etc")]) {
      await request(app).get(`/api/decisions/${id}`).expect(404);
    }
    expect((await request(app).get("/api/decisions/%ff")).status).toBe(400);
  });
});

describe("the page", () => {
  it("is served with a policy for its content, and may not be framed", async () => {
    const { app } = await setUp(on);
    const response = await request(app).get("/").expect(200);
    expect(response.text).toContain("<title>Guarded chat</title>");
    expect(response.headers["content-security-policy"]).toBe(
      "default-src 'self'; frame-ancestors 'none'",
    );
    expect(response.headers["x-powered-by"]).toBeUndefined();
  });

  it("greets a visitor once", async () => {
    const { app } = await setUp(on);
    const visitor = request.agent(app);
    const [first, second] = [await visitor.get("/"), await visitor.get("/page.js")];
    expect(first.headers["set-cookie"]).toHaveLength(1);
    expect(second.headers["set-cookie"]).toBeUndefined();
  });

  it("knows nothing of the files around it", async () => {
    const { app } = await setUp(on);
    for (const path of ["/flags.env", "/../flags.env", "/..%2fflags.env", "/src/main.ts"]) {
      expect((await request(app).get(path)).status, path).toBeGreaterThanOrEqual(400);
    }
  });
});

describe("whatever goes wrong", () => {
  it("/healthz answers", async () => {
    const { app } = await setUp(undefined);
    await request(app).get("/healthz").expect(200, { status: "ok" });
    expect((await stateOf(app)).shut).toBe("FLAG_OFF");
  });

  it.each([on, ""])("no error quotes what was sent, with flags %j", async (text) => {
    const printed = vi.spyOn(console, "error").mockReturnValue(undefined);
    onTestFinished(() => printed.mockRestore());
    const { app } = await setUp(text);
    for (const body of [`{"messages":"${sentinel}`, sentinel, `"${sentinel}"`]) {
      const response = await request(app)
        .post("/api/chat")
        .set("content-type", "application/json")
        .send(body);
      expect(response.status).toBe(400);
      expect(response.text).not.toContain(sentinel);
    }
    expect(JSON.stringify(printed.mock.calls)).not.toContain(sentinel);
  });
});
