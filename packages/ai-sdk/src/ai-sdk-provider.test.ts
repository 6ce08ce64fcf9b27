import {
  APICallError,
  EmptyResponseBodyError,
  JSONParseError,
  LoadAPIKeyError,
  LoadSettingError,
  NoSuchModelError,
  UnsupportedFunctionalityError,
  type LanguageModelV4,
  type LanguageModelV4Content,
  type LanguageModelV4GenerateResult,
  type LanguageModelV4StreamPart,
  type LanguageModelV4Usage,
} from "@ai-sdk/provider";
import {
  defineContract,
  FailureCode,
  type Provider,
  type ProviderCall,
  type ProviderEvent,
  type ProviderReply,
} from "@sluice/contract";
import { createGuard } from "@sluice/guard";
import {
  chatCompletion,
  FakeClock,
  fakeFlagSource,
  sendJson,
  startUpstream,
  type Upstream,
} from "@sluice/testkit";
import { z } from "zod";
import { MockLanguageModelV4, convertArrayToReadableStream } from "ai/test";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { httpModel } from "../scripts/http-model.ts";
import { finishOf, finishPart, resultOf, textParts, usageOf } from "../scripts/model-answers.ts";
import { frame, sendFrames, textFrames } from "../scripts/stream-answer.ts";
import { aiSdkProvider } from "./ai-sdk-provider.ts";

/** Stands in every upstream text; no reply may hold it. */
const sentinel = "sentinel-7f3a";

const callOf = (more: Partial<ProviderCall<string>> = {}): ProviderCall<string> => ({
  input: `Say ${sentinel}`,
  schema: undefined,
  tools: [],
  steps: [],
  maxOutputTokens: undefined,
  reserved: undefined,
  signal: new AbortController().signal,
  idempotencyKey: "key-1",
  measure: () => undefined,
  ...more,
});

const prompt = (text: string): string => text;

const answering = (result: LanguageModelV4GenerateResult): MockLanguageModelV4 =>
  new MockLanguageModelV4({ doGenerate: result });

const throwing = (error: unknown): MockLanguageModelV4 => {
  const fail = async (): Promise<never> => {
    throw error;
  };
  return new MockLanguageModelV4({ doGenerate: fail, doStream: fail });
};

const streaming = (parts: readonly LanguageModelV4StreamPart[]): MockLanguageModelV4 =>
  new MockLanguageModelV4({ doStream: { stream: convertArrayToReadableStream([...parts]) } });

async function generate(
  model: LanguageModelV4,
  more?: Partial<ProviderCall<string>>,
): Promise<ProviderReply> {
  return aiSdkProvider({ model, prompt }).generate(callOf(more));
}

function stream(
  provider: Provider<string>,
  more?: Partial<ProviderCall<string>>,
): AsyncIterable<ProviderEvent> {
  if (provider.stream === undefined) throw new Error("it can't stream");
  return provider.stream(callOf(more));
}

async function eventsOf(
  model: LanguageModelV4,
  more?: Partial<ProviderCall<string>>,
): Promise<ProviderEvent[]> {
  return eventsIn(stream(aiSdkProvider({ model, prompt }), more));
}

async function eventsIn(events: AsyncIterable<ProviderEvent>): Promise<ProviderEvent[]> {
  const all: ProviderEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** A model that writes three parts and then nothing more. */
const endless = () => {
  const cancelled = Promise.withResolvers<void>();
  const { promise: never } = Promise.withResolvers<void>();
  let pulls = 0;
  const model = new MockLanguageModelV4({
    doStream: {
      stream: new ReadableStream<LanguageModelV4StreamPart>(
        {
          pull(controller) {
            pulls += 1;
            if (pulls > 3) return never;
            controller.enqueue({ type: "text-delta", id: "0", delta: "x" });
            return undefined;
          },
          cancel: () => cancelled.resolve(),
        },
        { highWaterMark: 0 },
      ),
    },
  });
  return { model, cancelled: cancelled.promise, pulls: () => pulls };
};

describe("the options", () => {
  it.each<[got: string, model: unknown]>([
    ['got "openai/gpt-5"', "openai/gpt-5"],
    ["got nothing", undefined],
    ['got a model of specification "v2"', { specificationVersion: "v2" }],
    ["got an object", { specificationVersion: "v4" }],
  ])("refuse a model that is none of version 4: %s", (got, model) => {
    expect(() => aiSdkProvider({ model: model as LanguageModelV4, prompt })).toThrow(
      `aiSdkProvider.model: ${got}, expected an AI SDK 7 language model (an object with specificationVersion "v4")`,
    );
  });

  it("refuse what they do not know", () => {
    const options = { model: answering(resultOf([])), prompt, retries: 2 };
    expect(() => aiSdkProvider(options)).toThrow("aiSdkProvider.retries: got an unknown option");
  });

  it("refuse a name of two lines", () => {
    const options = { model: answering(resultOf([])), prompt, name: "a\nb" };
    expect(() => aiSdkProvider(options)).toThrow("aiSdkProvider.name");
  });

  it("name the provider and the model after the model", () => {
    const model = new MockLanguageModelV4({ provider: "acme.chat", modelId: "m-1" });
    expect(aiSdkProvider({ model, prompt })).toMatchObject({ name: "acme.chat", model: "m-1" });
    expect(aiSdkProvider({ model, prompt, name: "first" }).name).toBe("first");
  });
});

const asked = async (
  more: Partial<ProviderCall<string>>,
  options: Partial<Parameters<typeof aiSdkProvider<string>>[0]> = {},
) => {
  const model = answering(resultOf([]));
  await aiSdkProvider({ model, prompt, ...options }).generate(callOf(more));
  expect(model.doGenerateCalls).toHaveLength(1);
  return model.doGenerateCalls[0];
};

describe("what is asked", () => {
  it("is one user message of a string, with the guard's signal and nothing it did not set", async () => {
    const { signal } = new AbortController();
    expect(await asked({ input: "hi", signal })).toStrictEqual({
      prompt: [{ role: "user", content: [{ type: "text", text: "hi" }] }],
      abortSignal: signal,
      headers: { "Idempotency-Key": "key-1" },
    });
  });

  it("is the messages of the prompt, made for the version that the route asks for", async () => {
    const call = await asked(
      { input: "hi", promptTemplateVersion: "v3" },
      {
        prompt: (text, { promptTemplateVersion }) => [
          { role: "system", content: `prompt ${promptTemplateVersion}` },
          { role: "user", content: text },
          { role: "assistant", content: "yes?" },
        ],
      },
    );
    expect(call?.prompt).toStrictEqual([
      { role: "system", content: "prompt v3" },
      { role: "user", content: [{ type: "text", text: "hi" }] },
      { role: "assistant", content: [{ type: "text", text: "yes?" }] },
    ]);
  });

  it("has the cap, the schema and the application's own headers and provider options", async () => {
    const schema = { type: "object", properties: {} };
    const call = await asked(
      { schema, maxOutputTokens: 40 },
      { headers: { "x-team": "a" }, providerOptions: { acme: { effort: "low" } } },
    );
    expect(call).toMatchObject({
      maxOutputTokens: 40,
      responseFormat: { type: "json", schema, name: "answer" },
      headers: { "x-team": "a", "Idempotency-Key": "key-1" },
      providerOptions: { acme: { effort: "low" } },
    });
  });

  it("has the tools, the model's calls so far and what they gave", async () => {
    const parameters = { type: "object", properties: {} };
    const call = await asked({
      input: "hi",
      tools: [{ name: "clock", description: "tells the time", parameters }],
      steps: [
        {
          text: "let me look",
          calls: [
            { id: "c1", name: "clock", arguments: '{"zone":"utc"}' },
            { id: "c2", name: "clock", arguments: "{broken" },
          ],
          results: [{ id: "c1", output: "noon" }],
        },
        { text: "", calls: [{ id: "c3", name: "clock", arguments: "{}" }], results: [] },
      ],
    });
    expect(call?.tools).toStrictEqual([
      {
        type: "function",
        name: "clock",
        description: "tells the time",
        inputSchema: parameters,
        strict: true,
      },
    ]);
    expect(call?.prompt.slice(1)).toStrictEqual([
      {
        role: "assistant",
        content: [
          { type: "text", text: "let me look" },
          { type: "tool-call", toolCallId: "c1", toolName: "clock", input: { zone: "utc" } },
          { type: "tool-call", toolCallId: "c2", toolName: "clock", input: "{broken" },
        ],
      },
      {
        role: "tool",
        content: [
          {
            type: "tool-result",
            toolCallId: "c1",
            toolName: "clock",
            output: { type: "text", value: "noon" },
          },
        ],
      },
      {
        role: "assistant",
        content: [{ type: "tool-call", toolCallId: "c3", toolName: "clock", input: {} }],
      },
      { role: "tool", content: [] },
    ]);
  });

  it("goes to the model that the route names, where the application says which that is", async () => {
    const other = answering(resultOf([{ type: "text", text: "other" }]));
    const model = answering(resultOf([]));
    const reply = await aiSdkProvider({ model, prompt, models: () => other }).generate(
      callOf({ model: "m-2" }),
    );
    expect(reply).toMatchObject({ ok: true, output: { text: "other" } });
    expect(model.doGenerateCalls).toHaveLength(0);
  });

  it("is nothing where the route names a model that nobody has", async () => {
    const model = answering(resultOf([]));
    const unknown = { ok: false, code: "PROVIDER_BAD_REQUEST", dispatched: false };
    expect(await generate(model, { model: "m-2" })).toStrictEqual(unknown);
    const provider = aiSdkProvider({ model, prompt, models: prompt as never });
    expect(await provider.generate(callOf({ model: "m-2" }))).toStrictEqual(unknown);
    expect(model.doGenerateCalls).toHaveLength(0);
  });

  it("is nothing when the prompt throws or the caller has gone", async () => {
    const model = answering(resultOf([]));
    const provider = aiSdkProvider<string>({
      model,
      prompt: () => {
        throw new Error(sentinel);
      },
    });
    const internal = { ok: false, code: "INTERNAL", dispatched: false };
    expect(await provider.generate(callOf())).toStrictEqual(internal);
    expect(await eventsIn(stream(provider))).toStrictEqual([{ type: "failed", failure: internal }]);
    expect(await generate(model, { signal: AbortSignal.abort() })).toStrictEqual({
      ok: false,
      code: "CLIENT_ABORTED",
      dispatched: false,
    });
    expect(model.doGenerateCalls).toHaveLength(0);
  });

  it("is counted whole, by the application's own tokenizer", () => {
    const model = answering(resultOf([]));
    const provider = aiSdkProvider<string>({ model, prompt, tokens: (text) => text.length * 10 });
    const step = {
      text: "ab",
      calls: [{ id: "1", name: "f", arguments: "{}" }],
      results: [{ id: "1", output: "xyz" }],
    };
    const tool = { name: "f", description: "", parameters: {} };
    expect(provider.inputTokens?.(callOf({ input: "abc" }))).toBe(8 + 8 + 30);
    expect(
      provider.inputTokens?.(callOf({ input: "abc", schema: {}, tools: [tool], steps: [step] })),
    ).toBe(8 + 20 + (8 + JSON.stringify(tool).length * 10) + 38 + (8 + 20) + (8 + 40) + (8 + 40));
  });
});

describe("a whole answer", () => {
  it("is its text, with what it cost", async () => {
    const content: LanguageModelV4Content[] = [
      { type: "reasoning", text: "hm" },
      { type: "text", text: "an " },
      { type: "text", text: "answer" },
    ];
    expect(await generate(answering(resultOf(content)))).toStrictEqual({
      ok: true,
      output: { kind: "text", text: "an answer" },
      usage: { inputTokens: 12, outputTokens: 5 },
    });
  });

  it("is the structured text where the model tells it apart", async () => {
    const result = resultOf([{ type: "text", text: "draft" }], { structuredOutputText: "{}" });
    expect(await generate(answering(result))).toMatchObject({ output: { text: "{}" } });
  });

  it("is the tools that it asks for, without those that ran upstream", async () => {
    const call = { type: "tool-call", toolName: "f", input: "{}" } as const;
    const result = resultOf(
      [
        { ...call, toolCallId: "1" },
        { ...call, toolCallId: "2", providerExecuted: true },
      ],
      { finishReason: finishOf("tool-calls") },
    );
    expect(await generate(answering(result))).toMatchObject({
      ok: true,
      toolCalls: [{ id: "1", name: "f", arguments: "{}" }],
    });
  });

  it.each([
    [finishOf("length"), "OUTPUT_TRUNCATED"],
    [finishOf("content-filter"), "CONTENT_FILTERED"],
    [finishOf("error"), "PROVIDER_UNAVAILABLE"],
    [finishOf("interrupted"), "STREAM_CUT"],
  ])("that finished with %o failed with %s, and is paid for", async (finishReason, code) => {
    const result = resultOf([{ type: "text", text: sentinel }], { finishReason });
    expect(await generate(answering(result))).toStrictEqual({
      ok: false,
      code,
      dispatched: true,
      usage: { inputTokens: 12, outputTokens: 5 },
    });
  });

  it.each([usageOf(undefined, 5), usageOf(12, undefined), usageOf(-1, 5), undefined])(
    "has no usage that is not told whole: %o",
    async (usage) => {
      const result = resultOf([], { usage: usage as LanguageModelV4Usage });
      expect(await generate(answering(result))).toMatchObject({ ok: true, usage: undefined });
    },
  );
});

const apiError = (more: Partial<ConstructorParameters<typeof APICallError>[0]>) =>
  new APICallError({ message: sentinel, url: sentinel, requestBodyValues: { sentinel }, ...more });
const causedBy = (code: string, more: object = {}) =>
  Object.assign(new Error(sentinel), { code, ...more });

describe("an error", () => {
  it.each<[name: string, error: unknown, failure: object]>([
    ["400", apiError({ statusCode: 400 }), { code: "PROVIDER_BAD_REQUEST", httpStatus: 400 }],
    ["401", apiError({ statusCode: 401 }), { code: "PROVIDER_AUTH", httpStatus: 401 }],
    [
      "429 with a time",
      apiError({ statusCode: 429, responseHeaders: { "retry-after": "3" } }),
      { code: "PROVIDER_RATE_LIMITED", retryAfterMs: 3000 },
    ],
    [
      "429 with milliseconds",
      apiError({
        statusCode: 429,
        responseHeaders: { "retry-after": "3", "retry-after-ms": "250" },
      }),
      { code: "PROVIDER_RATE_LIMITED", retryAfterMs: 250 },
    ],
    [
      "429 of a spent quota",
      apiError({ statusCode: 429, data: { error: { code: "insufficient_quota" } } }),
      { code: "PROVIDER_QUOTA", httpStatus: 429 },
    ],
    [
      "429 of a spent quota that the model did not parse",
      apiError({ statusCode: 429, responseBody: '[{"error":{"type":"insufficient_quota"}}]' }),
      { code: "PROVIDER_QUOTA", httpStatus: 429 },
    ],
    [
      "429 that tells the time in its text",
      apiError({ statusCode: 429, data: { error: { message: "Please try again in 6ms" } } }),
      { code: "PROVIDER_RATE_LIMITED", retryAfterMs: 6 },
    ],
    [
      "400 of a wrong key",
      apiError({ statusCode: 400, responseBody: '{"error":"Incorrect API key provided"}' }),
      { code: "PROVIDER_AUTH", httpStatus: 400 },
    ],
    [
      "502 with a page",
      apiError({ statusCode: 502, responseBody: `<html>${sentinel}</html>` }),
      { code: "PROVIDER_UNAVAILABLE", httpStatus: 502 },
    ],
    ["529", apiError({ statusCode: 529 }), { code: "PROVIDER_UNAVAILABLE", httpStatus: 529 }],
    [
      "a 200 that is no JSON",
      apiError({
        statusCode: 200,
        cause: new JSONParseError({ text: sentinel, cause: undefined }),
      }),
      { code: "PROVIDER_UNAVAILABLE", httpStatus: 200 },
    ],
    [
      "a 200 whose body was cut",
      apiError({ statusCode: 200, cause: new TypeError("terminated") }),
      { code: "STREAM_CUT", httpStatus: 200 },
    ],
    [
      "a connection that was refused",
      apiError({ cause: causedBy("ECONNREFUSED", { syscall: "connect" }) }),
      { code: "PROVIDER_UNAVAILABLE", dispatched: false },
    ],
    [
      "a connection that was reset",
      apiError({ cause: causedBy("ECONNRESET", { syscall: "read" }) }),
      { code: "PROVIDER_UNAVAILABLE", dispatched: true },
    ],
    [
      "headers that never came",
      apiError({ cause: causedBy("UND_ERR_HEADERS_TIMEOUT") }),
      { code: "PROVIDER_TIMEOUT", dispatched: true },
    ],
    [
      "a key that is missing",
      new LoadAPIKeyError({ message: sentinel }),
      { code: "PROVIDER_AUTH", dispatched: false },
    ],
    [
      "a setting that is missing",
      new LoadSettingError({ message: sentinel }),
      { code: "INTERNAL", dispatched: false },
    ],
    [
      "a model that is not there",
      new NoSuchModelError({ modelId: sentinel, modelType: "languageModel" }),
      { code: "PROVIDER_BAD_REQUEST", dispatched: false },
    ],
    [
      "what the model can't do",
      new UnsupportedFunctionalityError({ functionality: sentinel }),
      { code: "PROVIDER_BAD_REQUEST" },
    ],
    ["an empty body", new EmptyResponseBodyError(), { code: "STREAM_CUT" }],
    [
      "a time limit of the model's own",
      new DOMException("", "TimeoutError"),
      {
        code: "PROVIDER_TIMEOUT",
      },
    ],
    ["any other", new Error(sentinel), { code: "PROVIDER_UNAVAILABLE", dispatched: true }],
    ["no error at all", sentinel, { code: "PROVIDER_UNAVAILABLE", dispatched: true }],
  ])("says which failure it was and nothing else: %s", async (_name, error, failure) => {
    const reply = await generate(throwing(error));
    expect(reply).toMatchObject({ ok: false, dispatched: true, ...failure });
    expect(JSON.stringify(reply)).not.toContain(sentinel);
    expect(await eventsOf(throwing(error))).toStrictEqual([{ type: "failed", failure: reply }]);
  });

  it("after an abort is the caller's", async () => {
    const controller = new AbortController();
    const model = new MockLanguageModelV4({
      doGenerate: async () => {
        controller.abort();
        throw new Error("aborted");
      },
    });
    expect(await generate(model, { signal: controller.signal })).toStrictEqual({
      ok: false,
      code: "CLIENT_ABORTED",
      dispatched: true,
    });
  });
});

describe("a stream", () => {
  it("is its text as it flows, its usage and its finish", async () => {
    expect(
      await eventsOf(streaming([...textParts, { type: "text-end", id: "0" }, finishPart])),
    ).toStrictEqual([
      { type: "progress" },
      { type: "progress" },
      { type: "text-delta", text: "an " },
      { type: "text-delta", text: "answer" },
      { type: "progress" },
      { type: "usage", usage: { inputTokens: 12, outputTokens: 5 } },
      { type: "finish" },
    ]);
  });

  it("tells of tool calls that are complete, and that it is alive until then", async () => {
    const events = await eventsOf(
      streaming([
        { type: "reasoning-delta", id: "r", delta: "hm" },
        { type: "text-delta", id: "0", delta: "" },
        { type: "tool-input-start", id: "1", toolName: "f" },
        { type: "tool-input-delta", id: "1", delta: "{}" },
        { type: "tool-call", toolCallId: "1", toolName: "f", input: "{}" },
        { type: "tool-call", toolCallId: "2", toolName: "f", input: "{}", providerExecuted: true },
        finishPart,
      ]),
    );
    expect(events.filter(({ type }) => type !== "progress")).toMatchObject([
      { type: "reasoning-delta", text: "hm" },
      { type: "tool-call", call: { id: "1", name: "f", arguments: "{}" } },
      { type: "usage" },
      { type: "finish" },
    ]);
    expect(events.filter(({ type }) => type === "progress")).toHaveLength(4);
  });

  it.each([
    [finishOf("length"), "OUTPUT_TRUNCATED"],
    [finishOf("content-filter"), "CONTENT_FILTERED"],
    [finishOf("error"), "PROVIDER_UNAVAILABLE"],
    [finishOf("interrupted"), "STREAM_CUT"],
    [finishOf("other", undefined), "OK"],
  ])("that finished with %o ends in %s", async (finishReason, code) => {
    const last = (await eventsOf(streaming([...textParts, { ...finishPart, finishReason }]))).at(
      -1,
    );
    const usage = { inputTokens: 12, outputTokens: 5 };
    expect(last).toStrictEqual(
      code === "OK"
        ? { type: "finish" }
        : { type: "failed", failure: { ok: false, code, dispatched: true, usage } },
    );
  });

  it("whose upstream never said why it ended was cut", async () => {
    const finishReason = { unified: "other", raw: undefined } as const;
    const events = await eventsOf(streaming([...textParts, { ...finishPart, finishReason }]));
    expect(events.at(-1)).toMatchObject({ type: "failed", failure: { code: "STREAM_CUT" } });
  });

  it("that closes without a finish was cut", async () => {
    expect((await eventsOf(streaming(textParts))).at(-1)).toStrictEqual({
      type: "failed",
      failure: { ok: false, code: "STREAM_CUT", dispatched: true },
    });
  });

  it.each<[error: unknown, code: string]>([
    [new TypeError("terminated"), "STREAM_CUT"],
    [new Error(sentinel), "STREAM_CUT"],
    [new DOMException("", "TimeoutError"), "PROVIDER_TIMEOUT"],
    [apiError({ statusCode: 503 }), "PROVIDER_UNAVAILABLE"],
  ])("that breaks off with %s ends in %s", async (error, code) => {
    const parts = [...textParts];
    const model = new MockLanguageModelV4({
      doStream: {
        stream: new ReadableStream({
          pull(controller) {
            const part = parts.shift();
            if (part === undefined) controller.error(error);
            else controller.enqueue(part);
          },
        }),
      },
    });
    const events = await eventsOf(model);
    expect(events).toHaveLength(textParts.length + 1);
    expect(events.at(-1)).toMatchObject({ type: "failed", failure: { code } });
    expect(JSON.stringify(events)).not.toContain(sentinel);
  });

  it.each<[error: unknown, code: string]>([
    [apiError({ statusCode: 429 }), "PROVIDER_RATE_LIMITED"],
    [new Error(sentinel), "PROVIDER_UNAVAILABLE"],
    [sentinel, "PROVIDER_UNAVAILABLE"],
    [{ message: sentinel, code: 429 }, "PROVIDER_RATE_LIMITED"],
    [{ error: { message: sentinel, code: "insufficient_quota" } }, "PROVIDER_QUOTA"],
    [{ message: sentinel, statusCode: 401 }, "PROVIDER_AUTH"],
    [
      { response: { error: { message: sentinel, code: "rate_limit_exceeded" } } },
      "PROVIDER_RATE_LIMITED",
    ],
    ["Overloaded", "PROVIDER_UNAVAILABLE"],
    [new JSONParseError({ text: sentinel, cause: undefined }), "PROVIDER_UNAVAILABLE"],
    [null, "PROVIDER_UNAVAILABLE"],
  ])("with the error %o in it ends there, in %s", async (error, code) => {
    const events = await eventsOf(streaming([...textParts, { type: "error", error }, finishPart]));
    expect(events).toHaveLength(textParts.length + 1);
    expect(events.at(-1)).toMatchObject({ type: "failed", failure: { code } });
    expect(JSON.stringify(events)).not.toContain(sentinel);
  });

  it("is pulled one part at a time, and cancelled when the loop is left", async () => {
    const { model, cancelled, pulls } = endless();
    for await (const event of stream(aiSdkProvider({ model, prompt }))) {
      expect(event).toStrictEqual({ type: "text-delta", text: "x" });
      expect(pulls()).toBe(1);
      break;
    }
    await cancelled;
    expect(pulls()).toBe(1);
  });

  it("ends when it is aborted, also where the model does not listen", async () => {
    const { model, cancelled } = endless();
    const controller = new AbortController();
    const events: ProviderEvent[] = [];
    for await (const event of stream(aiSdkProvider({ model, prompt }), {
      signal: controller.signal,
    })) {
      events.push(event);
      if (events.length === 3) queueMicrotask(() => controller.abort());
    }
    await cancelled;
    expect(events.at(-1)).toStrictEqual({
      type: "failed",
      failure: { ok: false, code: "CLIENT_ABORTED", dispatched: true },
    });
  });

  it("that comes after the abort is not read", async () => {
    const { model, cancelled, pulls } = endless();
    const controller = new AbortController();
    const late = new MockLanguageModelV4({
      doStream: (options) => {
        controller.abort();
        return model.doStream(options);
      },
    });
    expect(await eventsOf(late, { signal: controller.signal })).toMatchObject([
      { type: "failed", failure: { code: "CLIENT_ABORTED" } },
    ]);
    await cancelled;
    expect(pulls()).toBe(0);
  });
});

describe("over HTTP", () => {
  let upstream: Upstream;
  beforeAll(async () => {
    upstream = await startUpstream(() => undefined);
  });
  afterAll(() => upstream.close());

  it("an answer arrives, and the idempotency key with its request", async () => {
    upstream.answerWith((res) => sendJson(res, chatCompletion("an answer")));
    expect(await generate(httpModel(upstream.url))).toMatchObject({
      ok: true,
      output: { text: "an answer" },
    });
    expect(upstream.requests.at(-1)?.headers["idempotency-key"]).toBe("key-1");
  });

  it("a body that is cut is no answer", async () => {
    upstream.answerWith((res) => {
      res.writeHead(200, { "content-type": "application/json" }).write('{"choices":[');
      setImmediate(() => res.destroy());
    });
    expect(await generate(httpModel(upstream.url))).toMatchObject({ code: "STREAM_CUT" });
  });

  it("a stream arrives whole", async () => {
    upstream.answerWith((res) => {
      sendFrames(res, textFrames("an answer"));
      res.end();
    });
    const events = await eventsOf(httpModel(upstream.url));
    const text = events.map((event) => (event.type === "text-delta" ? event.text : "")).join("");
    expect(text).toBe("an answer");
    expect(events.at(-1)).toStrictEqual({ type: "finish" });
  });

  it.each<[how: string, end: (res: { destroy(): void; end(): void }) => void]>([
    ["its socket is destroyed", (res) => res.destroy()],
    ["it ends before it said why", (res) => res.end()],
  ])("a stream is cut when %s", async (_how, end) => {
    upstream.answerWith((res) => {
      sendFrames(res, [frame({ choices: [{ delta: { content: "an " } }] })]);
      setImmediate(() => end(res));
    });
    const events = await eventsOf(httpModel(upstream.url));
    expect(events.at(-1)).toMatchObject({ type: "failed", failure: { code: "STREAM_CUT" } });
  });

  it("leaving the loop ends the upstream's answer", async () => {
    upstream.answerWith((res) => sendFrames(res, textFrames("an answer").slice(0, 3)));
    for await (const event of stream(aiSdkProvider({ model: httpModel(upstream.url), prompt }))) {
      if (event.type === "text-delta") break;
    }
    await upstream.settled();
    expect(upstream.open).toBe(0);
  });

  it("a host that nobody is at was sent nothing", async () => {
    const closed = await startUpstream(() => undefined);
    await closed.close();
    expect(await generate(httpModel(closed.url))).toStrictEqual({
      ok: false,
      code: "PROVIDER_UNAVAILABLE",
      dispatched: false,
    });
  });
});

const guardOf = (model: LanguageModelV4) => {
  const clock = new FakeClock();
  return createGuard({
    feature: "sample_ai",
    contract: defineContract({
      ok: z.object({ status: z.literal("OK"), text: z.string() }),
      failed: z.object({ status: z.literal("FAILED"), code: z.enum(FailureCode) }),
      text: { field: "text" },
    }),
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "OK", text: "the safe path" }),
    onFailure: "failed",
    provider: aiSdkProvider<string>({ model, prompt }),
    flags: fakeFlagSource({ clock }),
    clock,
    openTelemetry: false,
    sinks: [() => undefined],
    retry: { maxRetries: 0 },
    budget: { tokensPerRun: 1000, maxOutputTokens: 100 },
  });
};

describe("behind a guard", () => {
  it("a whole answer is parsed and paid for", async () => {
    const model = answering(resultOf([{ type: "text", text: "an answer" }]));
    const guard = guardOf(model);
    expect(await guard.run("hi", { subject: "user-1", run: "run-1" })).toMatchObject({
      status: "SUCCEEDED",
      value: { status: "OK", text: "an answer" },
      record: { selectedProvider: "mock-provider" },
    });
    expect(model.doGenerateCalls[0]?.maxOutputTokens).toBe(100);
    expect(guard.budget.use("run-1").tokens).toBe(17);
  });

  it.each<[what: string, parts: readonly LanguageModelV4StreamPart[], last: object]>([
    ["flows and finishes", [...textParts, finishPart], { type: "finish" }],
    ["is cut and fails", textParts, { outcome: { failure: { code: "STREAM_CUT" } } }],
  ])("a stream %s", async (_what, parts, last) => {
    const guard = guardOf(streaming(parts));
    const events = [];
    for await (const event of guard.stream("hi", { subject: "user-1" })) events.push(event);
    const text = events.map((event) => (event.type === "text-delta" ? event.text : "")).join("");
    expect(text).toBe("an answer");
    expect(events.at(-1)).toMatchObject(last);
    expect(guard.inFlight).toBe(0);
  });
});
