import OpenAI, {
  APIError,
  APIUserAbortError,
  BadRequestError,
  InternalServerError,
  RateLimitError,
} from "openai";
import { describe, expect, it } from "vitest";
import { openChatApp } from "./held-chat-app-for-tests.ts";
import {
  enforced,
  expressHost,
  fetchHost,
  openChatServer,
  type ChatSetting,
  type LegacyChat,
} from "./chat-hosts-for-tests.ts";
import { upstreamUsage } from "./held-upstream-for-tests.ts";

const legacy: LegacyChat = async (request) => {
  const { messages } = (await request.json()) as { messages: readonly { content: string }[] };
  const message = { role: "assistant", content: `The old answer to ${messages.at(-1)?.content}` };
  return Response.json({
    id: "chatcmpl-old",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "old",
    choices: [{ index: 0, message, finish_reason: "stop" }],
  });
};

const hosts = { Express: expressHost, Fetch: fetchHost };

const hello = {
  model: "any-model",
  messages: [{ role: "user", content: "Hello" }],
} satisfies OpenAI.ChatCompletionCreateParamsNonStreaming;
const streamed = { ...hello, stream: true } as const;

interface ClientSetting {
  readonly maxRetries?: number;
  /** The wire is read to its end, also where the client hangs up at an error. */
  readonly readsOn?: boolean;
  readonly cookie?: string;
}

/** A client; with what came over the wire. */
function openClient(url: string, { maxRetries = 0, readsOn = false, cookie }: ClientSetting = {}) {
  const wires: Promise<string>[] = [];
  const client = new OpenAI({
    baseURL: `${url}/api/openai`,
    apiKey: "any",
    maxRetries,
    ...(cookie !== undefined && { defaultHeaders: { cookie } }),
    async fetch(input, init) {
      const response = await fetch(input, readsOn ? { ...init, signal: null } : init);
      const text = response.clone().text();
      text.catch(() => undefined);
      wires.push(text);
      return response;
    },
  });
  return { completions: client.chat.completions, wires };
}

type Chunk = OpenAI.ChatCompletionChunk;

async function* chunksOf(stream: AsyncIterable<Chunk>): AsyncGenerator<Chunk, void> {
  yield* stream;
}

/** The next piece of text. */
async function nextText(chunks: AsyncGenerator<Chunk, void>): Promise<string> {
  for (;;) {
    const next = await chunks.next();
    if (next.done === true) throw new Error("the stream has ended");
    const content = next.value.choices[0]?.delta.content;
    if (typeof content === "string" && content !== "") return content;
  }
}

async function restOf(chunks: AsyncGenerator<Chunk, void>): Promise<readonly Chunk[]> {
  const rest: Chunk[] = [];
  for await (const chunk of chunks) rest.push(chunk);
  return rest;
}

const rejection = async (promise: PromiseLike<unknown>): Promise<unknown> => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not reject");
};

describe.each(Object.entries(hosts))("the openai client on %s", (_name, host) => {
  const open = async (setting: ChatSetting & ClientSetting = {}) => {
    const server = await openChatServer(host, legacy, setting);
    return { ...server, ...openClient(server.url, setting) };
  };

  /** A stream whose first word has come. */
  const openMidway = async (setting: ChatSetting & ClientSetting = {}) => {
    const opened = await open(setting);
    const asked = opened.completions.create(streamed);
    const call = await opened.upstream.next();
    call.say("one ");
    const stream = await asked;
    const chunks = chunksOf(stream);
    expect(await nextText(chunks)).toBe("one ");
    return { ...opened, call, stream, chunks };
  };

  it("gets a whole answer, with its usage", async () => {
    const { completions, upstream, idle } = await open();
    const asked = completions.create(hello).withResponse();
    const call = await upstream.next();
    expect(call.asked.messages).toEqual(hello.messages);
    call.whole("Hi there.");
    const { data, response } = await asked;
    expect(data).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/) as string,
      object: "chat.completion",
      model: "any-model",
      choices: [
        { index: 0, message: { role: "assistant", content: "Hi there." }, finish_reason: "stop" },
      ],
      usage: upstreamUsage,
    });
    expect(response.headers.get("sluice-path")).toBe("ai");
    await idle();
  });

  it("gets a stream piece by piece, while the model still speaks", async () => {
    const { call, chunks, wires, idle } = await openMidway();
    call.say("two ");
    expect(await nextText(chunks)).toBe("two ");
    call.say("three");
    expect(await nextText(chunks)).toBe("three");
    call.finish();
    const [last, ...more] = await restOf(chunks);
    expect(last?.choices).toMatchObject([{ index: 0, delta: {}, finish_reason: "stop" }]);
    expect(more).toEqual([]);
    expect(await wires[0]).toMatch(/^data: [^\n]*"role":"assistant"/);
    expect(await wires[0]).toMatch(/"finish_reason":"stop"[^\n]*\n\ndata: \[DONE\]\n\n$/);
    expect(await wires[0]).not.toContain('"usage"');
    await idle();
  });

  it("gets a stream's usage where it asks for it, by the client's own reader of streams", async () => {
    const { completions, upstream } = await open();
    const runner = completions.stream({ ...hello, stream_options: { include_usage: true } });
    const call = await upstream.next();
    call.say("Hi ", "there.");
    call.finish();
    expect(await runner.finalContent()).toBe("Hi there.");
    expect(await runner.totalUsage()).toMatchObject(upstreamUsage);
  });

  it("sees nothing of the guard's own tools but the answer", async () => {
    const { completions, upstream } = await open();
    const runner = completions.stream(hello);
    const call = await upstream.next();
    call.callTool("call_1", "opening_hours", { day: "Monday" });
    const second = await upstream.next();
    second.say("At nine.");
    second.finish();
    const message = await runner.finalMessage();
    expect(message).toMatchObject({ role: "assistant", content: "At nine." });
    expect(message.tool_calls ?? []).toEqual([]);
  });

  it.each([false, true])("throws RateLimitError with the time to wait: %s", async (stream) => {
    const admission = { userInFlight: { limit: 1 } };
    const { call, chunks, completions, upstream, idle } = await openMidway({
      admission,
      switches: enforced,
    });
    const error = await rejection(completions.create({ ...hello, stream }));
    expect(error).toBeInstanceOf(RateLimitError);
    const limited = error as RateLimitError;
    expect(limited).toMatchObject({ status: 429, code: "rate_limit_exceeded", type: "requests" });
    expect(limited.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    expect(limited.message).toMatch(
      /^429 Another answer is still being written for you\. Try again in \d+ seconds?\.$/,
    );
    expect(upstream.calls).toBe(1);
    call.finish();
    await restOf(chunks);
    await idle();

    const again = completions.create(hello);
    (await upstream.next()).whole("Now.");
    expect((await again).choices[0]?.message.content).toBe("Now.");
  });

  it.each([
    [
      "cut",
      "STREAM_CUT",
      "The connection to the AI service broke, so this answer is incomplete. Try again.",
    ],
    ["errorEvent", "PROVIDER_UNAVAILABLE", "The AI service could not be reached. Try again."],
    [
      "kill",
      "KILLED",
      "This feature was turned off while the answer was being written, so it is incomplete.",
    ],
  ] as const)("throws APIError in mid-stream: %s", async (what, code, message) => {
    const { call, chunks, guard, wires, idle } = await openMidway({ readsOn: true });
    if (what === "kill") guard.kill();
    else call[what]();
    const error = await rejection(restOf(chunks));
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ code, message, type: "server_error" });
    const told = { message, type: "server_error", param: null, code };
    expect(
      (await wires[0])?.endsWith(
        `\n\ndata: ${JSON.stringify({ error: told })}\n\ndata: [DONE]\n\n`,
      ),
    ).toBe(true);
    expect(await wires[0]).not.toContain('"finish_reason":"stop"');
    await idle();
  });

  it.each([false, true])(
    "throws InternalServerError for an upstream that fails, and doesn't ask again: %s",
    async (stream) => {
      const { completions, upstream, idle } = await open({ maxRetries: 2 });
      const asked = rejection(completions.create({ ...hello, stream }));
      (await upstream.next()).refuse(500);
      const error = await asked;
      expect(error).toBeInstanceOf(InternalServerError);
      expect(error).toMatchObject({ code: "PROVIDER_UNAVAILABLE", type: "server_error" });
      expect((error as APIError).message).not.toContain("the upstream's words");
      expect(upstream.calls).toBe(1);
      await idle();
    },
  );

  it.each([
    ["tools", { tools: [{ type: "function" as const, function: { name: "mine" } }] }, "tools"],
    [
      "a tool's result",
      { messages: [{ role: "tool" as const, tool_call_id: "1", content: "x" }] },
      "messages[0].role",
    ],
    ["no message", { messages: [] }, "messages"],
    ["two choices", { n: 2 }, "n"],
  ])("throws BadRequestError for %s, and says where", async (_what, more, param) => {
    const { completions, upstream } = await open();
    const error = await rejection(completions.create({ ...hello, ...more }));
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ status: 400, type: "invalid_request_error", param });
    expect(upstream.calls).toBe(0);
  });

  it("I4 aborts a whole answer: the upstream call ends, and the hold goes back", async () => {
    const { completions, upstream, idle } = await open();
    const leaving = new AbortController();
    const asked = rejection(completions.create(hello, { signal: leaving.signal }));
    const call = await upstream.next();
    leaving.abort();
    expect(await asked).toBeInstanceOf(APIUserAbortError);
    expect(await call.left).toBe(true);
    await idle();
  });

  it.each(["abort", "break"])(
    "I4 leaves a stream by %s, which ends the upstream call",
    async (how) => {
      const { call, chunks, stream, idle, outcomes } = await openMidway();
      if (how === "abort") stream.controller.abort();
      await chunks.return();
      expect(await call.left).toBe(true);
      await idle();
      expect(outcomes).toMatchObject([{ status: "FAILED", failure: { code: "CLIENT_ABORTED" } }]);
    },
  );

  it("throws InternalServerError with the time to wait while the server drains", async () => {
    const { completions, call, chunks, drain } = await openMidway();
    const drained = drain({ deadlineMs: 60_000 });
    const error = await rejection(completions.create(hello));
    expect(error).toBeInstanceOf(InternalServerError);
    expect(error).toMatchObject({ status: 503, code: "service_unavailable", type: "server_error" });
    expect((error as APIError).headers?.get("retry-after")).toBe("1");
    call.finish();
    expect((await restOf(chunks)).at(-1)?.choices[0]?.finish_reason).toBe("stop");
    await drained;
  });

  it("gets the legacy handler's answer where a kill comes before the first word", async () => {
    const { completions, upstream, guard, idle } = await open();
    const asked = completions.create(hello).withResponse();
    const call = await upstream.next();
    guard.kill();
    expect(await call.left).toBe(true);
    const { data, response } = await asked;
    expect(data.choices[0]?.message.content).toBe("The old answer to Hello");
    expect(response.headers.get("sluice-path")).toBe("legacy");
    await idle();
  });
});

const limits = "FF_ADMISSION_ENFORCE=true\nADMISSION_ENFORCE_USER_INFLIGHT=true\n";

const openOnApp = async (setting: ClientSetting & { readonly flags?: string } = {}) => {
  const app = await openChatApp(setting.flags);
  return { ...app, ...openClient(app.url, { cookie: await app.visitor(), ...setting }) };
};

describe("the openai client on the chat app", { timeout: 60_000 }, () => {
  it("gets answers and streams with their usage, and is told of a cut and of a 429", async () => {
    const { completions, upstream, idle } = await openOnApp({ flags: limits });
    const whole = completions.create(hello);
    (await upstream.next()).whole("Hi there.");
    const { choices, usage } = await whole;
    expect(choices[0]?.message.content).toBe("Hi there.");
    expect(usage).toEqual(upstreamUsage);

    const runner = completions.stream({ ...hello, stream_options: { include_usage: true } });
    const call = await upstream.next();
    call.callTool("call_1", "opening_hours", { day: "monday" });
    const second = await upstream.next();
    expect(second.asked.messages.at(-1)).toMatchObject({ role: "tool" });
    second.say("At ", "nine.");
    second.finish();
    expect(await runner.finalContent()).toBe("At nine.");
    await idle();

    const cut = completions.create(streamed);
    const third = await upstream.next();
    third.say("one ");
    const chunks = chunksOf(await cut);
    expect(await nextText(chunks)).toBe("one ");
    third.cut();
    expect(await rejection(restOf(chunks))).toMatchObject({ code: "STREAM_CUT" });

    const leaving = completions.create(streamed);
    const fourth = await upstream.next();
    fourth.say("one ");
    const left = chunksOf(await leaving);
    expect(await nextText(left)).toBe("one ");
    await left.return();
    expect(await fourth.left).toBe(true);
    await idle();

    const before = upstream.calls;
    const first = Array.from({ length: 4 }, () => completions.create(hello));
    const calls = await Promise.all(first.map(() => upstream.next()));
    const error = await rejection(completions.create(hello));
    expect(error).toBeInstanceOf(RateLimitError);
    expect((error as RateLimitError).headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    expect(upstream.calls - before).toBe(4);
    for (const each of calls) each.whole("Hi.");
    await Promise.all(first);
    await idle();
  });

  it("I13 ends by the kill in the flags file: in mid-stream with an error, before it by the legacy handler", async () => {
    const { completions, upstream, kill, idle } = await openOnApp();
    const asked = completions.create(streamed);
    const call = await upstream.next();
    call.say("one ");
    const chunks = chunksOf(await asked);
    expect(await nextText(chunks)).toBe("one ");
    const waiting = completions.create(hello).withResponse();
    const second = await upstream.next();
    await kill();
    expect(await rejection(restOf(chunks))).toMatchObject({ code: "KILLED" });
    expect([await call.left, await second.left]).toEqual([true, true]);
    const { data, response } = await waiting;
    expect(response.headers.get("sluice-path")).toBe("legacy");
    expect(data.choices[0]?.message.content).toBe("Hello! Ask about billing or your account.");
    await idle();
  });
});
