import {
  ConfigError,
  type ProviderCall,
  type ProviderEvent,
  type ToolSpec,
  type ToolStep,
} from "@sluice/contract";
import { chatCompletion, sendJson, startUpstream, type UpstreamAnswer } from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { customProvider, type CustomProviderOptions } from "./custom-provider.ts";
import type { PromptContext } from "./prompt.ts";

const schema = { type: "object", properties: {}, required: [], additionalProperties: false };
const tool: ToolSpec = { name: "weather", description: "Today's weather", parameters: schema };
const step: ToolStep = {
  text: "I'll look.",
  calls: [{ id: "c1", name: "weather", arguments: '{"city":"Bonn"}' }],
  results: [{ id: "c1", output: "Rain" }],
};

const call = (more: Partial<ProviderCall<string>> = {}): ProviderCall<string> => ({
  input: "Hi",
  schema,
  tools: [],
  steps: [],
  maxOutputTokens: 9,
  reserved: undefined,
  signal: new AbortController().signal,
  idempotencyKey: "key-1",
  measure: () => undefined,
  ...more,
});

const options = (more: Partial<CustomProviderOptions<string>> = {}) => ({
  name: "host",
  baseUrl: "http://127.0.0.1:1/v1",
  model: "m",
  prompt: (text: string) => text,
  ...more,
});

const good: UpstreamAnswer = (res) => sendJson(res, chatCompletion("{}"));

async function start(more: Partial<CustomProviderOptions<string>> = {}, answer = good) {
  const upstream = await startUpstream(answer);
  onTestFinished(() => upstream.close());
  const baseUrl = upstream.url + (more.baseUrl ?? "/v1");
  const provider = customProvider<string>(options({ ...more, baseUrl }));
  return {
    upstream,
    provider,
    sent: async (asked?: Partial<ProviderCall<string>>) => {
      const reply = await provider.generate(call(asked));
      const request = upstream.requests.at(-1);
      return { reply, request, body: JSON.parse(request?.body ?? "null") as unknown };
    },
  };
}

describe("a custom host", () => {
  it("is asked as OpenAI is, with the field that such hosts know for the cap", async () => {
    const { sent } = await start();
    const { request, body, reply } = await sent();
    expect(request).toMatchObject({ method: "POST", path: "/v1/chat/completions" });
    expect(request?.headers.authorization).toBeUndefined();
    expect(body).toEqual({
      model: "m",
      messages: [{ role: "user", content: "Hi" }],
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", strict: true, schema },
      },
      max_tokens: 9,
    });
    expect(reply).toMatchObject({ ok: true, output: { text: "{}" } });
  });

  it.each(["/v1", "/v1/", "/v1//"])(
    "has its path after that of the base URL %s",
    async (baseUrl) => {
      const { sent } = await start({ baseUrl });
      expect((await sent()).request?.path).toBe("/v1/chat/completions");
    },
  );

  it("is asked for plain text where there is no schema", async () => {
    const { sent } = await start();
    expect((await sent({ schema: undefined })).body).not.toHaveProperty("response_format");
  });

  it.each([
    ["json_object", { type: "json_object" }],
    ["none", undefined],
  ] as const)("with structured output as %s is asked for %j", async (structuredOutput, format) => {
    const { sent } = await start({ structuredOutput });
    const { body } = await sent({ tools: [tool] });
    expect((body as { response_format?: unknown }).response_format).toEqual(format);
    expect(JSON.stringify(body)).not.toContain("strict");
  });

  it("may know the cap by OpenAI's name", async () => {
    const { sent } = await start({ maxTokensField: "max_completion_tokens" });
    expect((await sent()).body).toMatchObject({ max_completion_tokens: 9 });
  });

  it("that refuses stream_options is not sent them", async () => {
    const { upstream, provider } = await start({ streamUsage: false });
    const events: ProviderEvent[] = [];
    for await (const event of provider.stream?.(call()) ?? []) events.push(event);
    expect(events.at(-1)).toEqual({ type: "finish" });
    expect(JSON.parse(upstream.requests[0]?.body ?? "")).toMatchObject({ stream: true });
    expect(upstream.requests[0]?.body).not.toContain("stream_options");
  });

  it("of Azure has its deployment, its version and its key where Azure wants them", async () => {
    const { sent } = await start({
      baseUrl: "/openai/deployments/gpt%204",
      query: { "api-version": "2024-10-21" },
      auth: "api-key",
      apiKey: "azure-key",
      headers: { "x-team": "a" },
    });
    const { request } = await sent();
    expect(request?.path).toBe(
      "/openai/deployments/gpt%204/chat/completions?api-version=2024-10-21",
    );
    expect(request?.headers).toMatchObject({ "api-key": "azure-key", "x-team": "a" });
    expect(request?.headers.authorization).toBeUndefined();
  });

  it("keeps the query of its base URL", async () => {
    const { sent } = await start({ baseUrl: "/v1?a=1#x", query: { b: "&" } });
    expect((await sent()).request?.path).toBe("/v1/chat/completions?a=1&b=%26");
  });

  it("is asked for the model that the route chose, and its prompt is told", async () => {
    const prompt = vi.fn<(text: string, context: PromptContext) => string>(() => "Hi");
    const { sent } = await start({ prompt });
    expect((await sent({ model: "other", promptTemplateVersion: "v2" })).body).toMatchObject({
      model: "other",
    });
    await sent();
    expect(prompt.mock.calls).toEqual([
      ["Hi", { promptTemplateVersion: "v2", model: "other" }],
      ["Hi", { promptTemplateVersion: undefined, model: "m" }],
    ]);
  });
});

describe("a key", () => {
  it.each([
    ["a string", "sk-mine"],
    ["a function", () => "sk-mine"],
    ["an async function", async () => "sk-mine"],
  ])("from %s is sent as a bearer's", async (_, apiKey) => {
    const { sent } = await start({ apiKey });
    expect((await sent()).request?.headers.authorization).toBe("Bearer sk-mine");
  });

  it("from a function is asked for on each call", async () => {
    let count = 0;
    const { sent, upstream } = await start({ apiKey: () => `sk-${(count += 1)}` });
    await sent();
    await sent();
    expect(upstream.requests.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer sk-1",
      "Bearer sk-2",
    ]);
  });

  it.each<[what: string, apiKey: () => string | Promise<string>]>([
    [
      "throws",
      () => {
        throw new Error("sk-secret");
      },
    ],
    ["rejects", () => Promise.reject(new Error("sk-secret"))],
    ["gives nothing", () => ""],
    ["gives no string", () => 7 as never],
    ["gives what no header can carry", () => "sk-\nsecret"],
  ])("from a function that %s is a failure of ours to sign in", async (_, apiKey) => {
    const { sent, upstream } = await start({ apiKey });
    const { reply } = await sent();
    expect(reply).toEqual({ ok: false, code: "PROVIDER_AUTH", dispatched: false });
    expect(upstream.requests).toHaveLength(0);
  });

  it("that never comes does not outlast its call", async () => {
    const { provider, upstream } = await start({
      apiKey: () => Promise.withResolvers<string>().promise,
    });
    const controller = new AbortController();
    const reply = provider.generate(call({ signal: controller.signal }));
    const events = provider.stream?.(call({ signal: controller.signal }));
    const next = events?.[Symbol.asyncIterator]().next();
    controller.abort();
    expect(await reply).toMatchObject({ ok: false, dispatched: false });
    expect(await next).toMatchObject({ value: { type: "failed", failure: { dispatched: false } } });
    expect(upstream.requests).toHaveLength(0);
  });

  it("is in nothing that the provider shows", async () => {
    const { provider, sent } = await start({ apiKey: "sk-secret", query: { key: "sk-secret" } });
    expect(JSON.stringify([provider, provider.notReady?.(), (await sent()).reply])).not.toContain(
      "sk-secret",
    );
  });
});

describe("tools and what they gave", () => {
  it("are messages of Chat Completions", async () => {
    const { sent } = await start();
    const { body } = await sent({ tools: [tool], steps: [step, { ...step, text: "" }] });
    const assistant = {
      role: "assistant",
      content: "I'll look.",
      tool_calls: [
        { id: "c1", type: "function", function: { name: "weather", arguments: '{"city":"Bonn"}' } },
      ],
    };
    const result = { role: "tool", tool_call_id: "c1", content: "Rain" };
    expect(body).toMatchObject({
      messages: [
        { role: "user", content: "Hi" },
        assistant,
        result,
        { ...assistant, content: null },
        result,
      ],
      tools: [
        {
          type: "function",
          function: {
            name: "weather",
            description: "Today's weather",
            parameters: schema,
            strict: true,
          },
        },
      ],
    });
  });

  it("are items of Responses, of which nothing is stored", async () => {
    const { sent } = await start({ api: "responses" });
    const { body, request } = await sent({ tools: [tool], steps: [step, { ...step, text: "" }] });
    const items = [
      { type: "function_call", call_id: "c1", name: "weather", arguments: '{"city":"Bonn"}' },
      { type: "function_call_output", call_id: "c1", output: "Rain" },
    ];
    expect(request?.path).toBe("/v1/responses");
    expect(body).toEqual({
      model: "m",
      input: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: "I'll look." },
        ...items,
        ...items,
      ],
      text: { format: { type: "json_schema", name: "answer", strict: true, schema } },
      tools: [
        {
          type: "function",
          name: "weather",
          description: "Today's weather",
          parameters: schema,
          strict: true,
        },
      ],
      max_output_tokens: 9,
      store: false,
    });
  });

  it("come back as calls", async () => {
    const toolCalls = [{ id: "c1", name: "weather", arguments: "{}" }];
    const message = {
      tool_calls: [{ id: "c1", type: "function", function: { name: "weather", arguments: "{}" } }],
    };
    const answer = chatCompletion(null, { finish: "tool_calls", message });
    const { sent } = await start({}, (res) => sendJson(res, answer));
    expect((await sent()).reply).toMatchObject({ ok: true, output: { text: "" }, toolCalls });
  });

  it("count in the prompt's bound", () => {
    const provider = customProvider<string>(options());
    const ask = { input: "", schema: undefined, tools: [], steps: [] };
    const bound = (more: object): number => provider.inputTokens?.({ ...ask, ...more }) ?? 0;
    expect(bound({ tools: [tool] }) - bound({})).toBeGreaterThanOrEqual(
      JSON.stringify(tool).length,
    );
    const big = { ...step, results: [{ id: "c1", output: "ñ".repeat(500) }] };
    expect(bound({ steps: [big] }) - bound({})).toBeGreaterThanOrEqual(1000);
    expect(bound({ steps: [step, step] })).toBeGreaterThan(bound({ steps: [step] }));
  });
});

describe("a wrong configuration", () => {
  it.each<[wrong: object, line: string]>([
    [
      { baseUrl: "ftp://u:sk-secret@x" },
      "customProvider.baseUrl: got a string (not shown), expected an http or https URL",
    ],
    [
      { baseUrl: "x.example/v1?key=sk-secret" },
      "customProvider.baseUrl: got a string (not shown), expected an http or https URL",
    ],
    [
      { baseUrl: undefined },
      "customProvider.baseUrl: got nothing, expected a value of type string",
    ],
    [
      { baseUrl: "https://u:sk-secret@x" },
      "customProvider.baseUrl: got a URL with a user name or password (not shown), expected one without: fetch refuses it",
    ],
    [
      { name: "My Host" },
      'customProvider.name: got "My Host", expected lower-case letters, digits, _ and -',
    ],
    [{ name: undefined }, "customProvider.name: got nothing, expected a value of type string"],
    [{ model: "" }, 'customProvider.model: got "", expected at least 1'],
    [{ prompt: "Hi" }, 'customProvider.prompt: got "Hi", expected a function'],
    [
      { apiKey: "sk-\nsecret" },
      "customProvider.apiKey: got a string (not shown), expected an API key, or a function that gives one",
    ],
    [
      { auth: "Bearer sk-secret" },
      "customProvider.auth: got a string (not shown), expected bearer, or the name of a header for the key",
    ],
    ...[
      "sk-secret",
      "0f8fad5bd9cb469fa16570867728950e",
      "Zm9vYmFyYmF6cXV4cXV1eGNvcmdl",
      "Host",
    ].map((auth): [object, string] => [
      { auth },
      "customProvider.auth: got a string (not shown), expected bearer, or the name of a header for the key",
    ]),
    [
      { headers: { "sk-secret x": "y" } },
      "customProvider.headers: got a header (not shown), expected the name of a header",
    ],
    [
      { headers: { "x-y": "sk-\nsecret" } },
      "customProvider.headers.x-y: got a header (not shown), expected a value that a header can carry",
    ],
    [
      { headers: { Host: "x" } },
      "customProvider.headers.Host: got a header (not shown), expected none of the headers that each request has",
    ],
    [
      { headers: { Authorization: "x" }, apiKey: "sk-secret" },
      "customProvider.headers.Authorization: got a header (not shown), expected the key in customProvider.apiKey alone",
    ],
    [{ headers: [] }, "customProvider.headers: got an array of 0, expected a value of type record"],
    [{ query: { a: 1 } }, "customProvider.query.a: got 1, expected a value of type string"],
    [
      { api: "completions" },
      'customProvider.api: got "completions", expected one of "chat", "responses"',
    ],
    [
      { maxTokensField: "max" },
      'customProvider.maxTokensField: got "max", expected one of "max_completion_tokens", "max_tokens"',
    ],
    [
      { structuredOutput: true },
      'customProvider.structuredOutput: got true, expected one of "json_schema", "json_object", "none"',
    ],
    [
      { streamUsage: "yes" },
      'customProvider.streamUsage: got "yes", expected a value of type boolean',
    ],
    [{ fetch: 7 }, "customProvider.fetch: got 7, expected a function"],
    [
      { retries: 2 },
      "customProvider.retries: got an unknown option, expected only documented options",
    ],
  ])("%j is refused in one line, without a secret", (wrong, line) => {
    const make = () => customProvider(options(wrong));
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(line);
    expect(make).not.toThrow(/sk-|secret$/);
  });

  it.each(["api-key", "x-api-key", "Ocp-Apim-Subscription-Key", "authorization", "x_key2"])(
    "with %s as the header of the key is none",
    (auth) => {
      expect(customProvider(options({ auth, apiKey: "k" })).name).toBe("host");
    },
  );

  it("with a header that carries its own key is none", async () => {
    const { sent } = await start({ headers: { Authorization: "Basic x" } });
    expect((await sent()).request?.headers.authorization).toBe("Basic x");
  });
});
