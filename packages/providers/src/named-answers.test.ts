import type { ProviderCall, ProviderEvent, ProviderReply } from "@sluice/contract";
import {
  chatCompletion,
  sendJson,
  startUpstream,
  type Upstream,
  type UpstreamAnswer,
} from "@sluice/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { customProvider } from "./custom-provider.ts";
import { toReply } from "./to-reply.ts";

/** Stands in every upstream text that is no content, and in the prompt; no failure may hold it. */
const sentinel = "sentinel-7f3a";

const call: ProviderCall<string> = {
  input: sentinel,
  schema: undefined,
  tools: [],
  steps: [],
  maxOutputTokens: undefined,
  reserved: undefined,
  signal: new AbortController().signal,
  idempotencyKey: "key-1",
  measure: () => undefined,
};

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream(() => undefined);
});
afterAll(() => upstream.close());

/** What the answer is, asked for whole and streamed. */
async function repliesTo(answer: UpstreamAnswer): Promise<readonly ProviderReply[]> {
  upstream.answerWith(answer);
  const provider = customProvider<string>({
    name: "host",
    baseUrl: upstream.url,
    model: "m",
    apiKey: `sk-${sentinel}`,
    prompt: (text) => text,
  });
  const events: ProviderEvent[] = [];
  for await (const event of provider.stream?.(call) ?? []) events.push(event);
  const replies = [await provider.generate(call), toReply(events)];
  expect(JSON.stringify(replies)).not.toContain(sentinel);
  return replies;
}

const json =
  (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): UpstreamAnswer =>
  (res) => {
    for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
    sendJson(res, body, status);
  };
const raw =
  (status: number, type: string, body: string): UpstreamAnswer =>
  (res) =>
    void res.writeHead(status, { "content-type": type }).end(body);
const frames = (...data: readonly (object | string)[]): UpstreamAnswer =>
  raw(
    200,
    "text/event-stream",
    data.map((d) => `data: ${typeof d === "string" ? d : JSON.stringify(d)}\n\n`).join(""),
  );
const chunk = (delta: object, finish: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
});
const limited = (message: string, more: object = {}) => ({
  error: { message: `${sentinel} ${message}`, code: "rate_limit_exceeded", ...more },
});
const azureRate = (seconds: number) =>
  limited(
    `Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after ${seconds} seconds.`,
    { code: "429" },
  );
const html = `<!DOCTYPE html><html><body>${sentinel} Web server is down</body></html>`;
const azureHeaders = {
  "x-ratelimit-limit-tokens": "-1",
  "x-ratelimit-remaining-tokens": "-1",
  "x-ratelimit-reset-tokens": "0",
};
const exhausted = {
  "x-ratelimit-remaining-requests": "499",
  "x-ratelimit-reset-requests": "120ms",
  "x-ratelimit-remaining-tokens": "0",
  "x-ratelimit-reset-tokens": "6m0s",
};
const unavailable = { code: "PROVIDER_UNAVAILABLE" };
const rateLimited = (retryAfterMs?: number) => ({ code: "PROVIDER_RATE_LIMITED", retryAfterMs });

it.each<[what: string, answer: UpstreamAnswer, expected: object]>([
  [
    "429 insufficient_quota is spent quota",
    json(429, { error: { message: sentinel, code: "insufficient_quota" } }),
    { code: "PROVIDER_QUOTA" },
  ],
  ["429 rate_limit_exceeded says 6ms", json(429, limited("try again in 6ms.")), rateLimited(6)],
  ["429 says 1.574s", json(429, limited("Please try again in 1.574s.")), rateLimited(1574)],
  ["429 has retry-after", json(429, limited("x"), { "retry-after": "2" }), rateLimited(2000)],
  ["429 has retry-after-ms", json(429, limited("x"), { "retry-after-ms": "7" }), rateLimited(7)],
  ["429 has a limit that is used up", json(429, limited("x"), exhausted), rateLimited(360_000)],
  ["429 of Azure has no limit to tell", json(429, limited("x"), azureHeaders), rateLimited()],
  ["429 of Azure says 20 seconds", json(429, azureRate(20)), rateLimited(20_000)],
  [
    "429 of Azure is a prompt that never passes",
    json(429, azureRate(86_400)),
    { code: "PROVIDER_BAD_REQUEST", retryAfterMs: undefined },
  ],
  ["429 has no error in it", json(429, { status: sentinel }), rateLimited()],
  [
    "400 is a wrong key (xAI)",
    json(400, {
      code: "Client specified an invalid argument",
      error: `Incorrect API key provided: ${sentinel}`,
    }),
    { code: "PROVIDER_AUTH" },
  ],
  [
    "400 is an overloaded host",
    json(400, { error: { message: "Our servers are currently overloaded.", code: null } }),
    unavailable,
  ],
  [
    "400 is Cloudflare's gateway",
    json(400, { success: false, error: [{ code: 2005 }] }),
    unavailable,
  ],
  [
    "404 is a model that does not exist",
    json(404, { error: { code: "model_not_found" } }),
    { code: "PROVIDER_BAD_REQUEST" },
  ],
  ["402 is spent quota", json(402, { error: { message: sentinel } }), { code: "PROVIDER_QUOTA" }],
  ["403 is the key", json(403, { error: { message: sentinel } }), { code: "PROVIDER_AUTH" }],
  [
    "403 is the content",
    json(403, { error: { message: "flagged by moderation" } }),
    { code: "CONTENT_FILTERED" },
  ],
  [
    "Azure's content_filter lacks a message",
    json(200, { choices: [{ finish_reason: "content_filter", index: 0 }] }),
    { code: "CONTENT_FILTERED" },
  ],
  [
    "content is an array",
    json(200, chatCompletion([{ type: "text", text: "a" }])),
    { ok: true, output: { text: "a" } },
  ],
  ["content is null", json(200, chatCompletion(null)), { code: "OUTPUT_NOT_JSON" }],
  [
    "the model refuses",
    json(200, chatCompletion(null, { message: { refusal: sentinel } })),
    { code: "REFUSED" },
  ],
  [
    "the model refuses, streamed",
    frames(chunk({ refusal: sentinel }), chunk({}, "stop"), "[DONE]"),
    { code: "REFUSED" },
  ],
  [
    "the cap was reached",
    json(200, chatCompletion(sentinel, { finish: "length" })),
    { code: "OUTPUT_TRUNCATED" },
  ],
  [
    "the cap was reached, streamed",
    frames(chunk({}, "length"), "[DONE]"),
    { code: "OUTPUT_TRUNCATED" },
  ],
  [
    "an error event is in a 200",
    raw(200, "text/event-stream", `event: error\ndata: {"message":"${sentinel}"}\n\n`),
    unavailable,
  ],
  [
    "an error is beside choices",
    frames({ ...chunk({}), error: { message: sentinel, code: 502 } }),
    unavailable,
  ],
  ["an error is a bare string", frames({ error: sentinel }), unavailable],
  ["an error is an array", frames([{ error: { message: sentinel, code: 503 } }]), unavailable],
  ["a page comes with a 502", raw(502, "text/html", html), unavailable],
  ["a page comes with a 200", raw(200, "text/html", html), unavailable],
  ["the body is empty", raw(200, "application/json", ""), unavailable],
  ["the body of a 500 is empty", raw(500, "text/plain", ""), unavailable],
  [
    "the body is cut (TypeError: terminated)",
    (res) => void res.writeHead(200).write('data: {"choices":', () => res.socket?.destroy()),
    { code: "STREAM_CUT" },
  ],
  [
    "a frame is no JSON and the stream ends quietly",
    frames(`{"choices": ${sentinel}`),
    unavailable,
  ],
  [
    "there is no [DONE]",
    frames(chunk({ content: "a" }), chunk({}, "stop")),
    { ok: true, output: { text: "a" } },
  ],
  [
    "usage comes without choices",
    frames(
      chunk({ content: "a" }, "stop"),
      { choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } },
      "[DONE]",
    ),
    { ok: true, usage: { inputTokens: 3, outputTokens: 4 } },
  ],
  [
    "an error's code is a number",
    json(503, { error: { code: 503, message: sentinel } }),
    unavailable,
  ],
  ["the status is 520", raw(520, "text/html", ""), unavailable],
  ["the status is 522", raw(522, "text/html", html), unavailable],
  [
    "the status is 529",
    json(529, { type: "error", error: { type: "overloaded_error" } }),
    unavailable,
  ],
])("%s", async (_, answer, expected) => {
  for (const reply of await repliesTo(answer))
    expect({ retryAfterMs: undefined, ...reply }).toMatchObject(expected);
});
