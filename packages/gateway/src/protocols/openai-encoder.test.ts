import { BadRequestError, InternalServerError, OpenAI, RateLimitError } from "openai";
import { describe, expect, it } from "vitest";
import type { WireAnswer } from "../protocol.ts";
import { openAiProtocol } from "./openai.ts";
import {
  dataOf,
  encoderOf,
  failed,
  fellBack,
  problemOf,
  rejected,
  streamOf,
  stubbed,
  succeeded,
  toResponse,
  usage,
  wholeOf,
} from "./outcomes-for-tests.ts";

const messages = [{ role: "user", content: "Hello?" } as const];
const model = "gpt-whatever";
const streamed = { model, messages, stream: true } as const;
const withUsage = { ...streamed, stream_options: { include_usage: true } } as const;

const encoder = (body: object) => encoderOf(openAiProtocol, body);

/** The `openai` client, told that the answer came from its base URL; it counts how often it asks. */
function clientOf(answer: WireAnswer, pieceBytes?: number) {
  const asked = { times: 0 };
  const client = new OpenAI({
    apiKey: "k",
    baseURL: "http://localhost/v1",
    fetch: () => {
      asked.times += 1;
      return Promise.resolve(toResponse(answer, pieceBytes));
    },
  });
  return { client, asked };
}

async function readStream(answer: WireAnswer, pieceBytes?: number) {
  const { client } = clientOf(answer, pieceBytes);
  const chunks = [];
  for await (const chunk of await client.chat.completions.create(streamed)) chunks.push(chunk);
  return chunks;
}

describe("a chat completion", () => {
  it.each([
    ["of the model", succeeded("Good day.")],
    ["of the safe path", stubbed("Good day.")],
    ["of the safe path after a failure", fellBack("Good day.")],
  ])("%s reaches the openai client", async (_name, outcome) => {
    const { client } = clientOf(wholeOf(encoder({ model, messages }), outcome));
    const completion = await client.chat.completions.create({ model, messages });
    expect(completion).toMatchObject({
      id: "chatcmpl-d1",
      object: "chat.completion",
      created: 1_700_000_000,
      model,
      choices: [
        {
          index: 0,
          finish_reason: "stop",
          message: { role: "assistant", content: "Good day.", refusal: null },
        },
      ],
    });
  });

  it("tells the tokens where they are known", async () => {
    const answer = wholeOf(encoder({ model, messages }), succeeded("Good day."));
    const told = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
    expect(JSON.parse(answer.body)).toMatchObject({ usage: told });
    const none = wholeOf(encoder({ model, messages }), stubbed("Good day."));
    expect(JSON.parse(none.body)).not.toHaveProperty("usage");
  });

  it.each([
    ["PROVIDER_UNAVAILABLE", 502],
    ["PROVIDER_TIMEOUT", 504],
  ] as const)("failed for %s is %i, which the client does not ask again", async (code, status) => {
    for (const body of [{ model, messages }, streamed]) {
      const { client, asked } = clientOf(wholeOf(encoder(body), failed(code)));
      const asking = client.chat.completions.create({ model, messages });
      await expect(asking).rejects.toMatchObject({ status, code, type: "server_error" });
      expect(asked.times).toBe(1);
    }
  });

  it.each([
    ["USER_IN_FLIGHT", RateLimitError, 429, "rate_limit_exceeded"],
    ["STORE_UNAVAILABLE", InternalServerError, 503, "service_unavailable"],
  ] as const)("rejected for %s is the client's own error", async (reason, kind, status, code) => {
    const answer = wholeOf(encoder({ model, messages }), rejected(reason, 1500));
    expect(answer).toMatchObject({ status, headers: { "retry-after": "2" } });
    const { client } = clientOf(answer);
    const asking = client.chat.completions.create({ model, messages }, { maxRetries: 0 });
    const error: unknown = await asking.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toContain("in 2 seconds");
  });

  it("asked for wrongly is the client's BadRequestError with the parameter", async () => {
    const body = { model, messages: [{ role: "wizard", content: "x" }] };
    const answer = problemOf(openAiProtocol, body);
    const { client } = clientOf(answer);
    const error: unknown = await client.chat.completions
      .create({ model, messages })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ type: "invalid_request_error", param: "messages[0].role" });
    expect((error as Error).message).toContain("/messages/0/role");
    expect(answer.body).not.toContain("wizard");
  });
});

describe("a stream of chat completion chunks", () => {
  const events = [
    { type: "reasoning-delta", text: "Hm." },
    { type: "text-delta", text: "Good " },
    { type: "tool-call", id: "a", name: "weather", input: {} },
    { type: "tool-result", id: "a", name: "weather", output: "rain" },
    { type: "text-delta", text: "day." },
    { type: "usage", usage },
  ] as const;

  it("reaches the openai client, with the reasoning apart and without the guard's tools", async () => {
    const end = { type: "finish", outcome: succeeded("Good day.") } as const;
    const answer = streamOf(encoder(streamed), [...events, end]);
    const chunks = await readStream(answer, 5);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe("Good day.");
    expect(chunks[0]).toMatchObject({
      id: "chatcmpl-d1",
      created: 1_700_000_000,
      model,
      choices: [{ delta: { role: "assistant" } }],
    });
    expect(chunks[1]).toMatchObject({ choices: [{ delta: { reasoning_content: "Hm." } }] });
    expect(chunks.at(-1)).toMatchObject({ choices: [{ finish_reason: "stop" }] });
    expect(answer.body).not.toMatch(/weather|usage/);
    expect(dataOf(answer).at(-1)).toBe("[DONE]");
  });

  it("tells the tokens in a last chunk to whom asked for them", async () => {
    const end = { type: "finish", outcome: succeeded("Good day.") } as const;
    const chunks = await readStream(streamOf(encoder(withUsage), [...events, end]));
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
    });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
  });

  it("that is cut throws at the client, after what had come, and ends with [DONE]", async () => {
    const answer = streamOf(encoder(withUsage), [
      { type: "text-delta", text: "Good" },
      { type: "failed", outcome: failed("STREAM_CUT") },
    ]);
    const { client } = clientOf(answer);
    let text = "";
    const reading = async () => {
      for await (const chunk of await client.chat.completions.create(streamed)) {
        text += chunk.choices[0]?.delta.content ?? "";
        expect(chunk.choices[0]?.finish_reason).toBeNull();
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: "STREAM_CUT", type: "server_error" });
    expect(text).toBe("Good");
    expect(dataOf(answer).at(-1)).toBe("[DONE]");
    expect(answer.body).not.toContain("s3cret");
  });

  it("of an answer that is there as a whole is complete", async () => {
    const answer = wholeOf(encoder(streamed), stubbed("Ask us by mail."));
    expect(answer).toMatchObject({ status: 200, headers: { "cache-control": "no-store" } });
    const chunks = await readStream(answer);
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
    expect(text).toBe("Ask us by mail.");
    expect(chunks.at(-1)).toMatchObject({ choices: [{ finish_reason: "stop" }] });
  });
});
