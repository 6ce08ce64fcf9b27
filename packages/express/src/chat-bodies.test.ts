import { PassThrough } from "node:stream";
import { gzipSync } from "node:zlib";
import express, { type RequestHandler } from "express";
import request from "supertest";
import { describe, expect, it } from "vitest";
import { ask, chatApp, chatBody, jsonAsk, message } from "./chat-for-tests.ts";

const text = async (source: AsyncIterable<unknown>): Promise<string> => {
  let all = "";
  for await (const chunk of source) all += Buffer.from(chunk as Uint8Array).toString("latin1");
  return all;
};
const json = express.json({ limit: "5mb" });

/** Who reads the body, and sends it back. */
const readers: Readonly<Record<string, RequestHandler>> = {
  "express.json": (req, res, next) => {
    json(req, res, (error) => (error === undefined ? res.json(req.body) : next(error)));
  },
  "a loop over the request": async (req, res) => void res.json(JSON.parse(await text(req))),
  pipe: (req, res) => {
    res.type("json");
    req.pipe(new PassThrough()).pipe(res);
  },
  listeners: (req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => void res.type("json").end(Buffer.concat(chunks)));
  },
  "a handler that begins later": async (req, res) => {
    await Promise.resolve();
    res.type("json").end(await text(req));
  },
};
const echo: RequestHandler = (req, res) => void res.json(req.body);
const inHex: RequestHandler = async (req, res) => {
  res.send(Buffer.from(await text(req), "latin1").toString("hex"));
};
const passing: RequestHandler = (_req, _res, next) => next();
const leavesEmpty: RequestHandler = (req, _res, next) => {
  req.body = {};
  next();
};
const spoil: RequestHandler = (req, _res, next) => void req.resume().on("end", () => next());

const post = (app: express.Express, type: string) =>
  request(app).post("/api/chat").set("content-type", type);
/** As they are: supertest would write bytes as JSON. */
const postBytes = (app: express.Express, type: string, body: Buffer, encoding = "identity") =>
  post(app, type)
    .set("content-encoding", encoding)
    .serialize((given: unknown) => given as string)
    .send(body);

describe("a request that is diverted has its body again", () => {
  it.each(Object.entries(readers))("for %s", async (_, legacy) => {
    const { app } = chatApp({ enabled: false }, { legacy, bodyLimitBytes: 200_000 });
    for (const size of [10, 60_000, 190_000, 1_000_000]) {
      const body = { messages: [{ ...message, content: "x".repeat(size) }] };
      const response = await post(app, "application/json").send(body).expect(200);
      expect(JSON.stringify(response.body) === JSON.stringify(body)).toBe(true);
    }
  });

  it.each<[string, Buffer, string?]>([
    ["application/json", gzipSync(chatBody), "gzip"],
    ["application/json", Buffer.from(chatBody), "of-tomorrow"],
    ["application/json", Buffer.from("{")],
    ["application/json", Buffer.alloc(0)],
    ["text/plain", Buffer.from("hello")],
  ])("whatever it is: %s, %o, %s", async (type, body, encoding) => {
    const { app } = chatApp({ enabled: false }, { legacy: inHex });
    const response = await postBytes(app, type, body, encoding);
    expect(response.text).toBe(body.toString("hex"));
  });

  it("where it has none", async () => {
    const { app } = chatApp({ enabled: false }, { legacy: inHex });
    expect((await request(app).get("/api/chat").expect(200)).text).toBe("");
  });

  it("as an earlier parser left it", async () => {
    const { app } = chatApp({ enabled: false }, { legacy: echo }, [express.json()]);
    expect((await ask(app, jsonAsk)).body).toEqual(jsonAsk.body);
  });

  it("where the legacy handler calls the next one", async () => {
    const { app } = chatApp({ enabled: false }, { legacy: passing });
    expect((await ask(app, jsonAsk)).body).toEqual({ reply: "the next handler" });
  });
});

describe("a body", () => {
  it.each<[string, RequestHandler]>([
    ["JSON", express.json()],
    ["text", express.text({ type: "*/*" })],
    ["bytes", express.raw({ type: "*/*" })],
    ["nothing", express.urlencoded()],
  ])("that an earlier parser has read as %s is taken", async (_, parser) => {
    const { app, provider } = chatApp({}, {}, [parser]);
    await ask(app, jsonAsk).expect(200);
    expect(provider.last().asked.input).toEqual({ messages: [message] });
  });

  it("that an earlier parser of Express 4 has not read is read", async () => {
    const { app } = chatApp({}, {}, [leavesEmpty]);
    expect((await ask(app, jsonAsk)).status).toBe(200);
  });

  it("that is packed is unpacked", async () => {
    const { app } = chatApp();
    const response = await postBytes(app, "application/json", gzipSync(chatBody), "gzip");
    expect(response.status).toBe(200);
  });

  it.each<[string, number, string, string]>([
    ["larger than the limit", 413, "application/json", JSON.stringify("x".repeat(300))],
    ["of another type", 415, "text/plain", "hello"],
    ["a form", 415, "application/x-www-form-urlencoded", "a=b"],
    ["no JSON", 400, "application/json", "{"],
    ["empty", 400, "application/json", ""],
  ])("that is %s is %i", async (_, status, type, body) => {
    const { app, provider } = chatApp({}, { bodyLimitBytes: 200 });
    const response = await post(app, type).send(body).expect(status);
    expect(response.headers["content-type"]).toMatch(/^application\/problem\+json/);
    expect(provider.calls).toEqual([]);
  });

  it("that the application has spoilt is its error", async () => {
    const { app } = chatApp({}, {}, [spoil]);
    const response = await ask(app, jsonAsk).expect(500);
    expect(response.body).toEqual({
      seen: "sluice: the body was read before, and req.body does not hold it",
    });
  });
});
