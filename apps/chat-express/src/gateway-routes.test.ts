import { chatCompletion, sendJson, type UpstreamAnswer } from "@sluice/testkit";
import type { Express } from "express";
import request from "supertest";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { chat, good, on, openApp, stateOf, untilState } from "./open-app-for-tests.ts";

const shadow = `${on}FF_CHAT_GATEWAY_SHADOW=true\n`;
const legacyAnswer = { status: "OK", reply: "Hello! Ask about billing or your account." };

describe("the stage shadow", () => {
  it("leaves the legacy handler's answer as it is, checks, and compares what the model says", async () => {
    const { app, upstream } = await openApp({ flags: shadow, mirrorShare: 1 });
    const response = await chat(app).expect(200);
    expect(response.body).toEqual(legacyAnswer);
    expect(Object.keys(response.headers).filter((name) => name.startsWith("sluice"))).toEqual([]);
    await untilState(app, {
      stage: "shadow",
      counts: {
        answers: { legacy: 1 },
        shadow: { checked: { allow: 1 }, mirrored: { SUCCEEDED: 1 }, compared: 1 },
      },
      underWay: { watched: 0, mirrors: 0 },
    });
    expect(upstream.requests).toHaveLength(1);
  });

  it("asks the gates alone where nothing is mirrored", async () => {
    const { app, upstream } = await openApp({ flags: shadow });
    await chat(app).expect(200);
    await untilState(app, { counts: { shadow: { checked: { allow: 1 }, mirrored: {} } } });
    expect(upstream.requests).toHaveLength(0);
  });

  it("counts why a request was left alone", async () => {
    const { app } = await openApp({ flags: shadow });
    await request(app).post("/api/chat").send({ messages: [] }).expect(200, {
      status: "OK",
      reply: "I can help with billing and accounts. A person answers within a day: support desk.",
    });
    await untilState(app, { underWay: { skipped: { invalid: 1 } } });
  });

  it("costs the user nothing where the model hangs", async () => {
    const { app, upstream } = await openApp({
      flags: shadow,
      mirrorShare: 1,
      answer: () => undefined,
    });
    expect((await chat(app).expect(200)).body).toEqual(legacyAnswer);
    await upstream.received(1);
    expect(await stateOf(app)).toMatchObject({ underWay: { mirrors: 1 }, inFlight: 0 });
  });
});

/** A model that asks for a tool, then tells what it read. */
const callsTheTool: UpstreamAnswer = (res, { body }) => {
  const { messages } = JSON.parse(body) as {
    readonly messages: readonly { readonly role: string; readonly content: string }[];
  };
  const last = messages.at(-1);
  if (last?.role === "tool") {
    sendJson(res, chatCompletion(`It told me: ${last.content}`));
    return;
  }
  const call = {
    id: "call_1",
    type: "function",
    function: { name: "opening_hours", arguments: '{"day":"sunday"}' },
  };
  sendJson(res, chatCompletion(null, { finish: "tool_calls", message: { tool_calls: [call] } }));
};

describe("a tool that the model calls", () => {
  it("runs, and is told of in the stream", async () => {
    const { app } = await openApp({ flags: on, answer: callsTheTool });
    const response = await chat(app).set("accept", "text/event-stream").buffer(true).expect(200);
    const events = response.text
      .split("\n\n")
      .filter((frame) => frame !== "")
      .map((frame) => JSON.parse(frame.replace(/^data: /, "")) as { readonly type: string });
    const output = '{"day":"sunday","open":false}';
    expect(events.filter(({ type }) => type !== "usage")).toEqual([
      { type: "tool-call", id: "call_1", name: "opening_hours", input: { day: "sunday" } },
      { type: "tool-result", id: "call_1", name: "opening_hours", output },
      { type: "text-delta", text: `It told me: ${output}` },
      expect.objectContaining({ type: "finish", status: "SUCCEEDED" }),
    ]);
  });

  it("is safe, so a shadow runs it too", async () => {
    const { app, upstream } = await openApp({
      flags: shadow,
      mirrorShare: 1,
      answer: callsTheTool,
    });
    await chat(app).expect(200);
    await untilState(app, { counts: { shadow: { mirrored: { SUCCEEDED: 1 } } } });
    expect(upstream.requests.at(-1)?.body).toContain('\\"open\\":false');
  });
});

const limits = `${on}FF_ADMISSION_ENFORCE=true\nADMISSION_ENFORCE_USER_INFLIGHT=true\n`;

describe("the limits", () => {
  it.each([
    ["observe", on, 200, { wouldRefuse: { USER_IN_FLIGHT: 1 }, refused: {} }],
    [
      "observe by their own switch",
      `${limits}ADMISSION_ENFORCE_USER_INFLIGHT=false\n`,
      200,
      { wouldRefuse: { USER_IN_FLIGHT: 1 }, refused: {} },
    ],
    ["refuse", limits, 429, { wouldRefuse: {}, refused: { USER_IN_FLIGHT: 1 } }],
  ])("%s as the switches say", async (_, flags, status, counts) => {
    const held: (() => void)[] = [];
    const { app, upstream } = await openApp({
      flags,
      answer: (res, asked) => void held.push(() => good(res, asked)),
    });
    const visitor = request.agent(app);
    await visitor.get("/");
    const ask = () =>
      visitor.post("/api/chat").send({ messages: [{ role: "user", content: "Hello" }] });
    const waiting = Array.from({ length: 4 }, () => ask().then((response) => response.status));
    await upstream.received(4);
    const fifth = ask().then((response) => response.status);
    await (status === 200 ? upstream.received(5) : fifth);
    for (const release of held) release();
    expect(await Promise.all([...waiting, fifth])).toEqual([200, 200, 200, 200, status]);
    expect(await stateOf(app)).toMatchObject({ counts });
  });
});

const complete = (app: Express, body: object = {}) =>
  request(app)
    .post("/api/openai/chat/completions")
    .send({ model: "any", messages: [{ role: "user", content: "Hello" }], ...body });

describe("the route for clients of OpenAI's API", () => {
  it("answers by the model, in OpenAI's form", async () => {
    const { app } = await openApp({ flags: on });
    const response = await complete(app).expect(200);
    expect(response.body).toMatchObject({
      object: "chat.completion",
      model: "any",
      choices: [
        { message: { role: "assistant", content: "from the model" }, finish_reason: "stop" },
      ],
    });
    expect(response.headers["sluice-path"]).toBe("ai");
  });

  it.each([
    ["the gateway is off", ""],
    ["the gateway watches", shadow],
    ["the feature is killed", `${on}CHAT_AI_KILL=true\n`],
  ])("answers by the legacy handler, in OpenAI's form, while %s", async (_, flags) => {
    const { app } = await openApp({ flags });
    const response = await complete(app).expect(200);
    expect(response.body).toMatchObject({
      object: "chat.completion",
      choices: [{ message: { content: legacyAnswer.reply }, finish_reason: "stop" }],
    });
    const streamed = await complete(app, { stream: true }).buffer(true).expect(200);
    const [first, last] = streamed.text.split("\n\n");
    expect(JSON.parse(first?.replace(/^data: /, "") ?? "")).toMatchObject({
      object: "chat.completion.chunk",
      choices: [{ delta: { content: legacyAnswer.reply } }],
    });
    expect(last).toBe("data: [DONE]");
    await complete(app, { messages: "no" }).expect(400);
  });

  it("is compared with the legacy handler's answer while the gateway watches", async () => {
    const { app } = await openApp({ flags: shadow, mirrorShare: 1 });
    await complete(app, { stream: true }).buffer(true).expect(200);
    await untilState(app, { counts: { shadow: { compared: 1 } } });
    expect((await stateOf(app)).counts.answers).toEqual({ legacy: 1 });
  });

  it("refuses in OpenAI's form", async () => {
    const { app } = await openApp({ flags: on });
    const response = await complete(app, { messages: [] }).expect(400);
    expect(response.body).toMatchObject({ error: { type: "invalid_request_error" } });
  });
});

const useChat = (app: Express) =>
  request(app)
    .post("/api/chat")
    .send({
      id: "chat-1",
      trigger: "submit-message",
      messages: [{ id: "m-1", role: "user", parts: [{ type: "text", text: "Hello" }] }],
    })
    .buffer(true);

describe("the same route, asked by useChat", () => {
  it.each([
    ["by the model", on, "from the model"],
    ["by the legacy handler in its stage", "", legacyAnswer.reply],
    ["by the legacy handler while the gateway watches", shadow, legacyAnswer.reply],
    ["by the legacy handler once killed", `${on}CHAT_AI_KILL=true\n`, legacyAnswer.reply],
  ])("answers %s, in the stream that it reads", async (_, flags, reply) => {
    const { app } = await openApp({ flags });
    const response = await useChat(app).expect(200);
    expect(response.headers["x-vercel-ai-ui-message-stream"]).toBe("v1");
    const frames = response.text.split("\n\n").filter((frame) => frame !== "");
    expect(frames.at(-1)).toBe("data: [DONE]");
    expect(frames.at(-2)).toContain('"type":"finish"');
    expect(frames.filter((frame) => frame.includes('"delta"')).join()).toContain(reply);
  });
});

describe("a drain", () => {
  it("lets nobody in, lets answers end, and resolves with the last", async () => {
    const released = Promise.withResolvers<void>();
    const { app, drain, upstream } = await openApp({
      flags: on,
      answer: (res, asked) => void released.promise.then(() => good(res, asked)),
    });
    const open = chat(app).then((response) => response.status);
    await upstream.received(1);
    const drained = vi.fn<() => void>();
    const draining = drain(60_000).then(drained);
    const late = await chat(app).expect(503);
    expect(late.headers["retry-after"]).toBe("1");
    await complete(app).expect(503);
    expect(drained).not.toHaveBeenCalled();
    released.resolve();
    await draining;
    expect(await open).toBe(200);
  });

  it("ends what is left at its deadline with the event of a failure", async () => {
    const { app, drain, upstream } = await openApp({
      flags: on,
      answer: (res) => {
        res.writeHead(200, { "content-type": "text/event-stream" });
        const frame = { choices: [{ index: 0, delta: { content: "half" } }] };
        res.write(`data: ${JSON.stringify(frame)}\n\n`);
      },
    });
    const server = app.listen(0);
    onTestFinished(() => void server.close());
    const streamed = request(server)
      .post("/api/chat")
      .set("accept", "text/event-stream")
      .send({ messages: [{ role: "user", content: "Hello" }] })
      .buffer(true)
      .then((response) => response.text);
    await upstream.received(1);
    await untilState(app, { underWay: { answers: 1 } });
    await drain(50);
    expect((await streamed).trim().split("\n\n").at(-1)).toMatch(
      /"type":"failed".*"code":"KILLED"/,
    );
  });
});
