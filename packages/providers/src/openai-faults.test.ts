import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { failureCodes, type ProviderCall, type ProviderReply } from "@sluice/contract";
import {
  chatCompletion,
  sendJson,
  startUpstream,
  type Upstream,
  type UpstreamAnswer,
} from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { openaiProvider } from "./openai-provider.ts";

/** Stands in every upstream text; no reply may hold it. */
const sentinel = "sentinel-7f3a";

const call: ProviderCall<string> = {
  input: `Say ${sentinel}`,
  schema: {},
  tools: [],
  steps: [],
  maxOutputTokens: 20,
  reserved: undefined,
  signal: new AbortController().signal,
  idempotencyKey: "key-1",
  measure: () => undefined,
};

const providerAt = (baseUrl: string) =>
  openaiProvider<string>({ model: "m", apiKey: "sk-test", baseUrl, prompt: (text) => text });

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream(() => undefined);
});
afterAll(() => upstream.close());

async function replyTo(answer: UpstreamAnswer): Promise<ProviderReply> {
  upstream.answerWith(answer);
  const before = upstream.requests.length;
  const reply = await providerAt(upstream.url).generate(call);
  expect(upstream.requests.length).toBe(before + 1);
  expect(reply.ok ? "" : JSON.stringify(reply)).not.toContain(sentinel);
  expect([...failureCodes, undefined]).toContain(reply.ok ? undefined : reply.code);
  return reply;
}

const json =
  (body: unknown, status = 200): UpstreamAnswer =>
  (res) =>
    sendJson(res, body, status);
const raw =
  (
    body: string | Buffer,
    headers: Readonly<Record<string, string>>,
    status = 200,
  ): UpstreamAnswer =>
  (res) =>
    void res.writeHead(status, headers).end(body);
const error = (code: string | number | null, more: object = {}) => ({
  error: { message: `because ${sentinel}`, type: "t", param: null, code, ...more },
});

const html = `<!DOCTYPE html><html><body>${sentinel} 502 Bad Gateway</body></html>`;
const typeJson = { "content-type": "application/json" };

describe("a status", () => {
  it.each<[status: number, body: unknown, code: string]>([
    [400, error("invalid_request_error"), "PROVIDER_BAD_REQUEST"],
    [400, error("context_length_exceeded"), "PROVIDER_BAD_REQUEST"],
    [
      400,
      { code: "invalid-argument", error: `Incorrect API key provided: ${sentinel}` },
      "PROVIDER_AUTH",
    ],
    [401, error("invalid_api_key"), "PROVIDER_AUTH"],
    [401, { detail: sentinel }, "PROVIDER_AUTH"],
    [403, error("unsupported_country_region_territory"), "PROVIDER_AUTH"],
    [404, error("model_not_found"), "PROVIDER_BAD_REQUEST"],
    [408, error(null), "PROVIDER_TIMEOUT"],
    [409, error(null), "PROVIDER_UNAVAILABLE"],
    [425, error(null), "PROVIDER_UNAVAILABLE"],
    [413, error(null), "PROVIDER_BAD_REQUEST"],
    [422, error(null), "PROVIDER_BAD_REQUEST"],
    [429, error("rate_limit_exceeded"), "PROVIDER_RATE_LIMITED"],
    [429, { status: sentinel }, "PROVIDER_RATE_LIMITED"],
    [429, error("insufficient_quota"), "PROVIDER_QUOTA"],
    [429, error(null, { type: "insufficient_quota" }), "PROVIDER_QUOTA"],
    [400, error("content_filter"), "CONTENT_FILTERED"],
    [500, error("internal_server_error"), "PROVIDER_UNAVAILABLE"],
    [502, error(502), "PROVIDER_UNAVAILABLE"],
    [503, error(503), "PROVIDER_UNAVAILABLE"],
    [504, error(null), "PROVIDER_TIMEOUT"],
    [520, "", "PROVIDER_UNAVAILABLE"],
    [
      529,
      { type: "error", error: { type: "overloaded_error", message: sentinel } },
      "PROVIDER_UNAVAILABLE",
    ],
  ])("%i with %j is %s", async (status, body, code) => {
    expect(await replyTo(json(body, status))).toMatchObject({
      ok: false,
      code,
      dispatched: true,
      httpStatus: status,
    });
  });

  it("5xx of a proxy, in HTML, is the provider out of reach", async () => {
    expect(await replyTo(raw(html, { "content-type": "text/html" }, 502))).toMatchObject({
      code: "PROVIDER_UNAVAILABLE",
      httpStatus: 502,
    });
  });

  it("S13 whose body stops in the middle is told by its headers, at once", async () => {
    const reply = await replyTo((res) => {
      res.writeHead(429, { ...typeJson, "retry-after": "2" });
      res.write('{"error"');
    });
    expect(reply).toMatchObject({ code: "PROVIDER_RATE_LIMITED", retryAfterMs: 2000 });
    await upstream.settled();
  });

  it("S13 whose JSON is whole is not read any further", async () => {
    const reply = await replyTo((res) => {
      res.writeHead(429, typeJson);
      res.write(JSON.stringify(error("insufficient_quota")));
    });
    expect(reply).toMatchObject({ code: "PROVIDER_QUOTA" });
    await upstream.settled();
  });

  it("S13 whose body comes in pieces of a known length is read whole", async () => {
    const body = JSON.stringify(error("insufficient_quota"));
    const reply = await replyTo((res) => {
      res.writeHead(429, { ...typeJson, "content-length": `${body.length}` });
      res.write(body.slice(0, 20), () => setImmediate(() => res.end(body.slice(20))));
    });
    expect(reply).toMatchObject({ code: "PROVIDER_QUOTA" });
  });

  it.each([301, 302, 304, 307, 308])(
    "S17 %i is a wrong URL, which nobody follows",
    async (status) => {
      const reply = await replyTo((res) => {
        res.writeHead(status, { location: "/elsewhere" });
        res.end();
      });
      expect(reply).toEqual({
        ok: false,
        code: "PROVIDER_BAD_REQUEST",
        dispatched: true,
        httpStatus: status,
      });
    },
  );

  it("whose body is cut keeps its meaning", async () => {
    const reply = await replyTo((res) => {
      res.writeHead(401, { ...typeJson, "content-length": "1000" });
      res.write('{"error":', () => res.socket?.destroy());
    });
    expect(reply).toMatchObject({ code: "PROVIDER_AUTH", httpStatus: 401 });
  });

  it.each([
    [{ "retry-after": "7" }, 7000],
    [{ "retry-after": "0.5" }, 500],
    [{ "retry-after-ms": "6", "retry-after": "1" }, 6],
    [
      {
        date: "Wed, 21 Oct 2099 07:27:56 GMT",
        "retry-after": "Wed, 21 Oct 2099 07:28:00 GMT",
      },
      4000,
    ],
    [{ "retry-after": "Wed, 21 Oct 1999 07:28:00 GMT" }, undefined],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "-3" }, undefined],
    [{}, undefined],
  ])("429 with %j asks to wait %s ms", async (headers, retryAfterMs) => {
    const answer = raw(
      JSON.stringify(error("rate_limit_exceeded")),
      { ...typeJson, ...headers },
      429,
    );
    const reply = await replyTo(answer);
    expect(reply).toMatchObject({ code: "PROVIDER_RATE_LIMITED" });
    expect(reply.ok ? "ok" : reply.retryAfterMs).toBe(retryAfterMs);
  });
});

describe("a 200", () => {
  it.each<[what: string, code: string, answer: UpstreamAnswer]>([
    ["that is no JSON", "PROVIDER_UNAVAILABLE", raw(`${sentinel} {`, typeJson)],
    ["that is a number", "PROVIDER_UNAVAILABLE", raw("7", typeJson)],
    ["that is null", "PROVIDER_UNAVAILABLE", raw("null", typeJson)],
    ["that is a string", "PROVIDER_UNAVAILABLE", raw(JSON.stringify(sentinel), typeJson)],
    ["that is an array", "PROVIDER_UNAVAILABLE", json([sentinel])],
    ["that is empty", "PROVIDER_UNAVAILABLE", raw("", typeJson)],
    [
      "that is empty and chunked",
      "PROVIDER_UNAVAILABLE",
      raw("", { ...typeJson, "transfer-encoding": "chunked" }),
    ],
    ["of HTML", "PROVIDER_UNAVAILABLE", raw(html, { "content-type": "text/html" })],
    ["of HTML called JSON", "PROVIDER_UNAVAILABLE", raw(html, typeJson)],
    [
      "of an event stream without an answer",
      "STREAM_CUT",
      raw(`data: {"choices":[]}\n\n`, { "content-type": "text/event-stream" }),
    ],
    ["without choices", "PROVIDER_UNAVAILABLE", json({ id: sentinel })],
    ["with an error and no choices", "PROVIDER_UNAVAILABLE", json(error(502))],
    [
      "without a message, filtered",
      "CONTENT_FILTERED",
      json({ choices: [{ finish_reason: "content_filter" }] }),
    ],
    ["with a refusal", "REFUSED", json(chatCompletion(null, { message: { refusal: sentinel } }))],
    [
      "that reached the output cap",
      "OUTPUT_TRUNCATED",
      json(chatCompletion(sentinel, { finish: "length" })),
    ],
    ["of NDJSON", "PROVIDER_UNAVAILABLE", raw('{"done":false}\n{"done":true}\n', typeJson)],
    ["with null as content", "OUTPUT_NOT_JSON", json(chatCompletion(null))],
    [
      "nested beyond what a stack holds",
      "PROVIDER_UNAVAILABLE",
      raw("[".repeat(200_000), typeJson),
    ],
    [
      "compressed wrongly",
      "STREAM_CUT",
      raw(Buffer.from(sentinel), { ...typeJson, "content-encoding": "gzip" }),
    ],
    [
      // What fetch makes of it is the part that came, so it shows as broken JSON.
      "compressed and cut",
      "PROVIDER_UNAVAILABLE",
      raw(gzipSync(JSON.stringify(chatCompletion("{}"))).subarray(0, 40), {
        ...typeJson,
        "content-encoding": "gzip",
      }),
    ],
    [
      "cut in its body",
      "STREAM_CUT",
      (res) => {
        res.writeHead(200, { ...typeJson, "content-length": "1000" });
        res.write(`{"choices":["${sentinel}`, () => res.socket?.destroy());
      },
    ],
    [
      "cut in its chunked body",
      "STREAM_CUT",
      (res) => {
        res.writeHead(200, typeJson);
        res.write(`{"choices":["${sentinel}`, () => res.socket?.destroy());
      },
    ],
  ])("%s is %s", async (_, code, answer) => {
    expect(await replyTo(answer)).toMatchObject({ ok: false, code, dispatched: true });
  });

  it.each([200, 500])("I12 of a %i that never ends is not read to the end", async (status) => {
    const megabyte = Buffer.alloc(1024 * 1024, "x");
    let sentBytes = 0;
    const reply = await replyTo((res) => {
      res.writeHead(status, typeJson);
      const send = (): void => {
        sentBytes += megabyte.length;
        if (!res.destroyed) res.write(megabyte, send);
      };
      send();
    });
    expect(reply).toMatchObject({ ok: false, code: "PROVIDER_UNAVAILABLE", dispatched: true });
    await upstream.settled();
    // What the sockets' buffers hold comes on top.
    expect(sentBytes).toBeLessThan(64 * megabyte.length);
  });

  it("I12 that is small only while it is compressed is not read to the end", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const headers = { ...typeJson, "content-encoding": "gzip", "content-length": `${bomb.length}` };
    expect(await replyTo(raw(bomb, headers))).toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
  });

  it("larger than most is read", async () => {
    const text = JSON.stringify("x".repeat(5_000_000));
    expect(await replyTo(json(chatCompletion(text)))).toMatchObject({ output: { text } });
  });

  it("204 is no answer", async () => {
    expect(await replyTo((res) => void res.writeHead(204).end())).toMatchObject({
      ok: false,
      code: "PROVIDER_UNAVAILABLE",
    });
  });

  it("in parts is their text", async () => {
    const parts = [
      { type: "text", text: "{" },
      { type: "text", text: "}" },
    ];
    expect(await replyTo(json(chatCompletion(parts)))).toMatchObject({
      ok: true,
      output: { kind: "text", text: "{}" },
    });
  });

  it.each([[null], ["much"], [{ prompt_tokens: -1, completion_tokens: 2 }]])(
    "with %j as usage succeeds without usage",
    async (usage) => {
      const answer = { ...chatCompletion("{}"), usage };
      expect(await replyTo(json(answer))).toMatchObject({ ok: true, usage: undefined });
    },
  );

  it("that a byte order mark or white space stands before is read", async () => {
    const body = `\ufeff \n${JSON.stringify(chatCompletion("{}"))}`;
    expect(await replyTo(raw(body, typeJson))).toMatchObject({ ok: true });
  });
});

describe("a connection", () => {
  it("that is refused was never dispatched", async () => {
    const closed = await startUpstream(() => undefined);
    await closed.close();
    for (const url of [closed.url, closed.url.replace("127.0.0.1", "localhost")]) {
      expect(await providerAt(url).generate(call)).toEqual({
        ok: false,
        code: "PROVIDER_UNAVAILABLE",
        dispatched: false,
      });
    }
  });

  it("to a name that does not exist was never dispatched", async () => {
    expect(await providerAt("http://sluice.invalid/v1").generate(call)).toMatchObject({
      code: "PROVIDER_UNAVAILABLE",
      dispatched: false,
    });
  });

  it("that closes before an answer may have been dispatched", async () => {
    expect(await replyTo((res) => res.socket?.destroy())).toEqual({
      ok: false,
      code: "PROVIDER_UNAVAILABLE",
      dispatched: true,
    });
  });

  it("that speaks no HTTP may have been dispatched", async () => {
    const server = createServer((socket) => socket.end(`${sentinel}\r\n\r\n`));
    const listening = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const reply = await providerAt(`http://127.0.0.1:${port}`).generate(call);
    expect(reply).toEqual({ ok: false, code: "PROVIDER_UNAVAILABLE", dispatched: true });
  });
});
