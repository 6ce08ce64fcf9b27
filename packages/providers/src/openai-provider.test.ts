import { LLMock } from "@copilotkit/aimock";
import { ConfigError, defineContract, type ProviderAsk, type ProviderCall } from "@sluice/contract";
import { chatCompletion, sendJson, startUpstream, type UpstreamAnswer } from "@sluice/testkit";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { openaiProvider, type OpenaiProviderOptions } from "./openai-provider.ts";

interface Question {
  readonly text: string;
}

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
  failed: z.object({ status: z.literal("FAILED") }),
});

const call = (more: Partial<ProviderCall<Question>> = {}): ProviderCall<Question> => ({
  input: { text: "How are you?" },
  schema: contract.askable,
  tools: [],
  steps: [],
  maxOutputTokens: undefined,
  reserved: undefined,
  signal: new AbortController().signal,
  idempotencyKey: "key-1",
  measure: () => undefined,
  ...more,
});

const provider = (options: Partial<OpenaiProviderOptions<Question>> = {}) =>
  openaiProvider<Question>({
    model: "gpt-4o-mini",
    prompt: ({ text }) => text,
    apiKey: "sk-test",
    ...options,
  });

async function upstreamThat(answer: UpstreamAnswer) {
  const upstream = await startUpstream(answer);
  onTestFinished(() => upstream.close());
  return upstream;
}

const good: UpstreamAnswer = (res) => sendJson(res, chatCompletion('{"status":"OK","reply":"x"}'));

beforeEach(() => {
  // Whatever the machine has set must neither help nor harm.
  for (const name of Object.keys(process.env)) {
    if (name.startsWith("OPENAI_")) vi.stubEnv(name, undefined);
  }
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe("the request", () => {
  it("asks for the contract's schema in strict mode, and for nothing else", async () => {
    const upstream = await upstreamThat(good);
    await provider({ baseUrl: `${upstream.url}/v1` }).generate(call());
    expect(upstream.requests).toHaveLength(1);
    const [request] = upstream.requests;
    expect(request?.method).toBe("POST");
    expect(request?.path).toBe("/v1/chat/completions");
    expect(JSON.parse(request?.body ?? "")).toEqual({
      model: "gpt-4o-mini",
      messages: [{ role: "user", content: "How are you?" }],
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", strict: true, schema: contract.askable },
      },
    });
  });

  it("carries the key and the call's idempotency key", async () => {
    const upstream = await upstreamThat(good);
    const asked = provider({ baseUrl: upstream.url, apiKey: "sk-mine" });
    await asked.generate(call({ idempotencyKey: "a-b_1" }));
    await asked.generate(call({ idempotencyKey: "a-b_1" }));
    expect(upstream.requests.map(({ headers }) => headers["idempotency-key"])).toEqual([
      "a-b_1",
      "a-b_1",
    ]);
    expect(upstream.requests[0]?.headers.authorization).toBe("Bearer sk-mine");
  });

  it("caps the output at what the budget has left", async () => {
    const upstream = await upstreamThat(good);
    await provider({ baseUrl: upstream.url }).generate(call({ maxOutputTokens: 17 }));
    expect(JSON.parse(upstream.requests[0]?.body ?? "")).toMatchObject({
      max_completion_tokens: 17,
    });
  });

  it("sends messages with their roles, and no other property of theirs", async () => {
    const upstream = await upstreamThat(good);
    const messages = [
      { role: "system", content: "Be brief.", name: "x" },
      { role: "user", content: "Hi" },
    ] as const;
    await provider({ baseUrl: upstream.url, prompt: () => messages }).generate(call());
    expect(JSON.parse(upstream.requests[0]?.body ?? "")).toMatchObject({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hi" },
      ],
    });
    expect(upstream.requests[0]?.body).not.toContain('"name":"x"');
  });

  it("is well-formed JSON in UTF-8 whatever the prompt holds", async () => {
    const upstream = await upstreamThat(good);
    const text = '\ud83d\0 \u2028 \u202e ‮ 𝄞 "}],"model":"other"';
    await provider({ baseUrl: upstream.url }).generate(call({ input: { text } }));
    const sent = JSON.parse(upstream.requests[0]?.body ?? "") as {
      messages: { content: string }[];
    };
    expect(sent.messages[0]?.content).toBe(text);
    expect(sent).toMatchObject({ model: "gpt-4o-mini" });
  });

  it("goes to OPENAI_BASE_URL with OPENAI_API_KEY unless the options say otherwise", async () => {
    const upstream = await upstreamThat(good);
    vi.stubEnv("OPENAI_BASE_URL", `${upstream.url}/env`);
    vi.stubEnv("OPENAI_API_KEY", "sk-env");
    const fromEnv = openaiProvider<Question>({ model: "m", prompt: ({ text }) => text });
    await fromEnv.generate(call());
    await provider({ baseUrl: `${upstream.url}/option`, apiKey: "sk-option" }).generate(call());
    expect(upstream.requests.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ["/env/chat/completions", "Bearer sk-env"],
      ["/option/chat/completions", "Bearer sk-option"],
    ]);
  });

  it("names the organization and the project of the environment", async () => {
    const upstream = await upstreamThat(good);
    vi.stubEnv("OPENAI_ORG_ID", "org-1");
    vi.stubEnv("OPENAI_PROJECT_ID", "proj-1\n");
    await provider({ baseUrl: upstream.url }).generate(call());
    expect(upstream.requests[0]?.headers).toMatchObject({
      "openai-organization": "org-1",
      "openai-project": "proj-1",
    });
  });

  it("goes to the Responses API where that is chosen, and its answer is understood", async () => {
    const upstream = await upstreamThat((res) =>
      sendJson(res, {
        object: "response",
        status: "completed",
        output: [{ type: "message", content: [{ type: "output_text", text: "{}" }] }],
        usage: { input_tokens: 3, output_tokens: 4 },
      }),
    );
    const reply = await provider({ baseUrl: upstream.url, api: "responses" }).generate(
      call({ maxOutputTokens: 17 }),
    );
    expect(upstream.requests[0]?.path).toBe("/responses");
    expect(JSON.parse(upstream.requests[0]?.body ?? "")).toEqual({
      model: "gpt-4o-mini",
      input: [{ role: "user", content: "How are you?" }],
      text: {
        format: { type: "json_schema", name: "answer", strict: true, schema: contract.askable },
      },
      max_output_tokens: 17,
      store: false,
    });
    expect(reply).toEqual({
      ok: true,
      output: { kind: "text", text: "{}" },
      usage: { inputTokens: 3, outputTokens: 4 },
    });
  });

  it("is made by the application's own fetch where it gives one", async () => {
    const upstream = await upstreamThat(good);
    const own = vi.fn<typeof fetch>((url, init) => fetch(url, init));
    await provider({ baseUrl: upstream.url, fetch: own }).generate(call());
    expect(own).toHaveBeenCalledOnce();
  });

  it("carries no other key of the environment", async () => {
    const upstream = await upstreamThat(good);
    vi.stubEnv("OPENAI_ADMIN_KEY", "sk-admin");
    await provider({ baseUrl: upstream.url }).generate(call());
    expect(upstream.requests[0]?.headers.authorization).toBe("Bearer sk-test");
    expect(JSON.stringify(upstream.requests)).not.toContain("sk-admin");
  });

  it.each([500, 502, 503, 429, 408, 409, 529])(
    "is made once when the answer is %i, also where the server asks to retry",
    async (status) => {
      const upstream = await upstreamThat((res) => {
        res.setHeader("x-should-retry", "true");
        res.setHeader("retry-after-ms", "1");
        sendJson(res, { error: { message: "no" } }, status);
      });
      const reply = await provider({ baseUrl: upstream.url }).generate(call());
      expect(reply).toMatchObject({ ok: false, dispatched: true, httpStatus: status });
      expect(upstream.requests).toHaveLength(1);
    },
  );

  it("is made once when the connection is reset", async () => {
    const upstream = await upstreamThat((res) => res.socket?.resetAndDestroy());
    const reply = await provider({ baseUrl: upstream.url }).generate(call());
    expect(reply).toMatchObject({ ok: false, code: "PROVIDER_UNAVAILABLE", dispatched: true });
    expect(upstream.requests).toHaveLength(1);
  });

  it.each([301, 302, 303, 307, 308])(
    "is made once when the answer is %i, and goes to no other host",
    async (status) => {
      const other = await upstreamThat(good);
      const upstream = await upstreamThat((res) => {
        res.writeHead(status, { location: `${other.url}/v1/chat/completions` }).end();
      });
      const reply = await provider({ baseUrl: upstream.url }).generate(call());
      expect(reply).toMatchObject({ ok: false, code: "PROVIDER_BAD_REQUEST", httpStatus: status });
      expect([upstream.requests.length, other.requests.length]).toEqual([1, 0]);
    },
  );

  it("is not made when the prompt throws or is no prompt", async () => {
    const upstream = await upstreamThat(good);
    const prompts: (() => never)[] = [
      () => {
        throw new Error("secret");
      },
      () => undefined as never,
      () => ({ role: "user" }) as never,
      () => [null] as never,
    ];
    for (const prompt of prompts) {
      const reply = await provider({ baseUrl: upstream.url, prompt }).generate(call());
      expect(reply).toEqual({ ok: false, code: "INTERNAL", dispatched: false });
    }
    expect(upstream.requests).toHaveLength(0);
  });

  it("that can't be written is a failure of ours, not the provider's", async () => {
    const upstream = await upstreamThat(good);
    const unwritable = provider({
      baseUrl: upstream.url,
      prompt: () => [{ role: "user", content: 1n }] as never,
    });
    expect(await unwritable.generate(call())).toMatchObject({ ok: false, code: "INTERNAL" });
    vi.stubEnv("OPENAI_ORG_ID", "org\nid");
    const headless = provider({ baseUrl: upstream.url });
    expect(await headless.generate(call())).toMatchObject({ ok: false, code: "INTERNAL" });
    expect(upstream.requests).toHaveLength(0);
  });

  it("is made once when a connection that was kept open has gone stale", async () => {
    const upstream = await upstreamThat(good);
    const asked = provider({ baseUrl: upstream.url });
    await asked.generate(call());
    upstream.answerWith((res) => res.socket?.destroy());
    expect(await asked.generate(call())).toMatchObject({ ok: false, dispatched: true });
    expect(upstream.requests).toHaveLength(2);
  });
});

describe("an answer", () => {
  it("is its text, with the usage that was told", async () => {
    const upstream = await upstreamThat(good);
    const reply = await provider({ baseUrl: upstream.url }).generate(call());
    expect(reply).toEqual({
      ok: true,
      output: { kind: "text", text: '{"status":"OK","reply":"x"}' },
      usage: { inputTokens: 12, outputTokens: 5 },
    });
  });

  it("of a stand-in that checks its requests is understood", async () => {
    const mock = new LLMock({ host: "127.0.0.1", port: 0 });
    mock.onMessage(/are you/, { content: '{"status":"OK","reply":"fine"}' });
    await mock.start();
    onTestFinished(() => mock.stop());
    const reply = await provider({ baseUrl: `${mock.url}/v1` }).generate(
      call({ maxOutputTokens: 50 }),
    );
    expect(reply).toMatchObject({
      ok: true,
      output: { kind: "text", text: '{"status":"OK","reply":"fine"}' },
    });
    const [journaled] = mock.getRequests();
    expect(mock.getRequests()).toHaveLength(1);
    expect(journaled?.body).toMatchObject({
      max_completion_tokens: 50,
      response_format: { json_schema: { strict: true, schema: contract.askable } },
    });
    expect(journaled?.headers["idempotency-key"]).toBe("key-1");
  });

  it("of an error in the stand-in is its failure", async () => {
    const mock = new LLMock({ host: "127.0.0.1", port: 0 });
    mock.onMessage(/[\s\S]*/, { content: "{}" });
    await mock.start();
    onTestFinished(() => mock.stop());
    mock.nextRequestError(429, { code: "insufficient_quota", message: "quota" });
    const asked = provider({ baseUrl: `${mock.url}/v1` });
    expect(await asked.generate(call())).toMatchObject({ ok: false, code: "PROVIDER_QUOTA" });
    expect(await asked.generate(call())).toMatchObject({ ok: true });
  });
});

describe("what it is given", () => {
  it("without a key is not ready, names the variable, and dispatches nothing", async () => {
    const upstream = await upstreamThat(good);
    const asked = openaiProvider<Question>({
      model: "m",
      prompt: ({ text }) => text,
      baseUrl: upstream.url,
    });
    expect(asked.notReady?.()).toEqual({ variable: "OPENAI_API_KEY", expected: "an API key" });
    expect(await asked.generate(call())).toEqual({
      ok: false,
      code: "PROVIDER_AUTH",
      dispatched: false,
    });
    expect(upstream.requests).toHaveLength(0);
  });

  it("with an empty key in the environment is not ready", () => {
    vi.stubEnv("OPENAI_API_KEY", "");
    const asked = openaiProvider<Question>({ model: "m", prompt: ({ text }) => text });
    expect(asked.notReady?.()?.variable).toBe("OPENAI_API_KEY");
  });

  it.each(["sk-a\nb", "sk-\u{1f511}", "sk-\0"])(
    "with the key %j in the environment, which no header can carry, is not ready",
    async (key) => {
      vi.stubEnv("OPENAI_API_KEY", key.replace("\0", "\u007f"));
      const asked = openaiProvider<Question>({ model: "m", prompt: ({ text }) => text });
      expect(asked.notReady?.()?.variable).toBe("OPENAI_API_KEY");
      expect(await asked.generate(call())).toMatchObject({ ok: false, dispatched: false });
    },
  );

  it("takes a key and a URL with the line end of the file that they come from", async () => {
    const upstream = await upstreamThat(good);
    vi.stubEnv("OPENAI_API_KEY", "sk-file\n");
    vi.stubEnv("OPENAI_BASE_URL", ` ${upstream.url}/v1 \r\n`);
    const asked = openaiProvider<Question>({ model: "m", prompt: ({ text }) => text });
    expect(asked.notReady?.()).toBeUndefined();
    expect(await asked.generate(call())).toMatchObject({ ok: true });
    expect(upstream.requests[0]?.headers.authorization).toBe("Bearer sk-file");
    expect(upstream.requests[0]?.path).toBe("/v1/chat/completions");
  });

  it.each(["", " ", "\n"])("with the base URL %j in the environment uses OpenAI's own", (value) => {
    vi.stubEnv("OPENAI_BASE_URL", value);
    expect(provider().notReady?.()).toBeUndefined();
  });

  it.each([
    "127.0.0.1:4010",
    "not a url",
    "ftp://127.0.0.1/v1",
    "file:///etc/passwd",
    "http://",
    // fetch refuses it, on each call.
    "http://user:password@127.0.0.1/v1",
  ])("with the base URL %j in the environment is not ready, and starts", async (value) => {
    vi.stubEnv("OPENAI_BASE_URL", value);
    const asked = provider();
    expect(asked.notReady?.()?.variable).toBe("OPENAI_BASE_URL");
    expect(await asked.generate(call())).toMatchObject({ ok: false, dispatched: false });
  });

  it("with both is ready", () => {
    expect(provider().notReady?.()).toBeUndefined();
  });

  it.each([
    [{ baseUrl: "ftp://x" }, "openaiProvider.baseUrl"],
    [{ baseUrl: "x" }, "openaiProvider.baseUrl"],
    [{ model: "" }, "openaiProvider.model"],
    [{ name: "Open AI" }, "openaiProvider.name"],
    [{ apiKey: "" }, "openaiProvider.apiKey"],
    [{ apiKey: "sk-a\nb" }, "openaiProvider.apiKey"],
    [{ prompt: "Hi" }, "openaiProvider.prompt"],
    [{ tokens: 3 }, "openaiProvider.tokens"],
    [{ retries: 2 }, "openaiProvider.retries"],
    [{ api: "chats" }, "openaiProvider.api"],
    [{ fetch: {} }, "openaiProvider.fetch"],
  ])("refuses %j in one line that names the option", (wrong, option) => {
    const make = () => provider(wrong as unknown as Partial<OpenaiProviderOptions<Question>>);
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(new RegExp(`^${option.replaceAll(".", "\\.")}: got [^\n]*$`));
  });

  it("never shows a key or a password in a refusal", () => {
    expect(() => provider({ baseUrl: "http://user:password@x" })).toThrow(
      "openaiProvider.baseUrl: got a URL with a user name or password (not shown)",
    );
    expect(() => provider({ apiKey: 7 as unknown as string })).toThrow(
      "openaiProvider.apiKey: got a number (not shown)",
    );
    expect(() => provider({ apiKey: "sk-secret\n" })).toThrow(
      "openaiProvider.apiKey: got a string (not shown)",
    );
  });

  it.each(["debug", "info", "nonsense"])(
    "prints nothing with OPENAI_LOG=%s, neither for an answer nor for an error",
    async (level) => {
      vi.stubEnv("OPENAI_LOG", level);
      const upstream = await upstreamThat(good);
      const asked = provider({ baseUrl: upstream.url });
      const written = [
        vi.spyOn(process.stdout, "write").mockReturnValue(true),
        vi.spyOn(process.stderr, "write").mockReturnValue(true),
      ];
      onTestFinished(() => written.forEach((spy) => spy.mockRestore()));
      // The setup of these tests fails a test for a stray console call.
      await asked.generate(call());
      upstream.answerWith((res) => sendJson(res, { error: { message: "sentinel" } }, 500));
      await asked.generate(call());
      for (const spy of written) expect(spy).not.toHaveBeenCalled();
    },
  );
});

/** A call that the upstream has received, and the means to abort it. */
async function received(answer: UpstreamAnswer) {
  const upstream = await upstreamThat(answer);
  const controller = new AbortController();
  const reply = provider({ baseUrl: upstream.url }).generate(call({ signal: controller.signal }));
  await upstream.received(1);
  return { upstream, controller, reply };
}

describe("an abort", () => {
  it("before headers ends the call and the connection", async () => {
    const { upstream, controller, reply } = await received(() => undefined);
    controller.abort();
    expect(await reply).toMatchObject({ ok: false, dispatched: true });
    await upstream.settled();
    expect(upstream.requests).toHaveLength(1);
  });

  it.each([200, 500])(
    "with the headers of a %i sent and the body hanging ends the call and the connection",
    async (status) => {
      const head = Promise.withResolvers<void>();
      const { upstream, controller, reply } = await received((res) => {
        res.writeHead(status, { "content-type": "application/json" });
        res.write('{"choices":[', () => head.resolve());
      });
      await head.promise;
      controller.abort();
      expect(await reply).toMatchObject({ ok: false, dispatched: true });
      await upstream.settled();
    },
  );

  it("before the call makes no request", async () => {
    const upstream = await upstreamThat(good);
    const reply = await provider({ baseUrl: upstream.url }).generate(
      call({ signal: AbortSignal.abort() }),
    );
    expect(reply.ok).toBe(false);
    expect(upstream.requests).toHaveLength(0);
  });

  it("leaves no listener on a signal that outlives the call", async () => {
    const upstream = await upstreamThat(good);
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, "addEventListener");
    const removed = vi.spyOn(signal, "removeEventListener");
    await provider({ baseUrl: upstream.url }).generate(call({ signal }));
    expect(removed.mock.calls.length).toBeGreaterThanOrEqual(added.mock.calls.length);
  });
});

const ask = (input: Question, more: Partial<ProviderAsk<Question>> = {}) => ({
  input,
  schema: contract.askable,
  tools: [],
  steps: [],
  ...more,
});

describe("the prompt's bound", () => {
  const asked = provider();

  it("covers every byte of the messages and of the schema", () => {
    const text = "ñ𝄞".repeat(1000);
    const bound = asked.inputTokens?.(ask({ text })) ?? 0;
    const bytes = Buffer.byteLength(text) + Buffer.byteLength(JSON.stringify(contract.askable));
    expect(bound).toBeGreaterThanOrEqual(bytes);
    expect(bound).toBeLessThan(bytes + 100);
  });

  it("S5 is that of the prompt for the route's model", () => {
    const short = "x";
    const written = provider({
      prompt: (_, { model }) => (model === "big" ? "x".repeat(99) : short),
    });
    const bound = (model?: string) => written.inputTokens?.({ ...ask({ text: "" }), model }) ?? 0;
    expect(bound("big") - bound()).toBe(98);
  });

  it("grows with each message", () => {
    const many = provider({
      prompt: () => Array.from({ length: 50 }, () => ({ role: "user", content: "" }) as const),
    });
    const one = provider({ prompt: () => "" });
    const bound = (of: typeof many) => of.inputTokens?.(ask({ text: "" })) ?? 0;
    expect(bound(many) - bound(one)).toBeGreaterThanOrEqual(49 * 4);
  });

  it("asks a tokenizer where one is given, once for a schema", () => {
    const tokens = vi.fn<(text: string) => number>((text) => Math.ceil(text.length / 4));
    const counted = provider({ tokens });
    const first = counted.inputTokens?.(ask({ text: "four" }));
    tokens.mockClear();
    expect(counted.inputTokens?.(ask({ text: "four" }))).toBe(first);
    expect(tokens.mock.calls).toEqual([["four"]]);
  });
});
