import type { ProviderEvent } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { answerStream } from "./answer-stream.ts";
import { fromChatCompletion } from "./from-chat-completion.ts";
import { toReply } from "./to-reply.ts";

/** Stands in every upstream text that is no content; no event may hold it. */
const sentinel = "sentinel-7f3a";

type Frame = object | string;

function eventsOf(frames: readonly Frame[], how: "ended" | "cut" = "ended"): ProviderEvent[] {
  const queue: ProviderEvent[] = [];
  const answer = answerStream(queue, "key-1");
  for (const frame of frames) {
    answer.push(typeof frame === "string" ? frame : JSON.stringify(frame), undefined);
  }
  answer.end(how);
  expect(JSON.stringify(queue)).not.toContain(sentinel);
  return queue;
}
const replyTo = (...frames: readonly Frame[]) => toReply(eventsOf(frames));
const codeOf = (...frames: readonly Frame[]): string => {
  const reply = replyTo(...frames);
  return reply.ok ? "ok" : reply.code;
};

const choice = (delta: object, more: object = {}) => ({
  choices: [{ index: 0, delta, finish_reason: null, ...more }],
});
const text = (content: unknown) => choice({ content });
const finish = (reason: string, delta: object = {}) => choice(delta, { finish_reason: reason });
const usage = { choices: [], usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } };
const told = { inputTokens: 3, outputTokens: 4 };
const done = "[DONE]";

describe("a stream of chunks", () => {
  it("is its text as it came, its usage, and its end", () => {
    const frames = [choice({ role: "assistant", content: "" }), text("Hel"), text("lo")];
    expect(eventsOf([...frames, finish("stop"), usage, done])).toEqual([
      { type: "progress" },
      { type: "text-delta", text: "Hel" },
      { type: "text-delta", text: "lo" },
      { type: "progress" },
      { type: "usage", usage: told },
      { type: "finish" },
    ]);
  });

  it("ends with its sentinel, whatever comes after", () => {
    expect(eventsOf([text("a"), finish("stop"), done, text("b"), "{", done])).toHaveLength(3);
  });

  it("is complete without a sentinel when a finish reason came", () => {
    expect(replyTo(text("a"), finish("stop"))).toMatchObject({ ok: true, output: { text: "a" } });
    expect(toReply(eventsOf([text("a"), finish("stop")], "cut"))).toMatchObject({ ok: true });
  });

  it.each<[what: string, frames: readonly Frame[]]>([
    ["after content", [text("a")]],
    ["after content and usage", [text("a"), usage]],
    ["after its first sign of life", [choice({ role: "assistant" })]],
    ["with a finish reason that is empty", [text("a"), finish("")]],
    ["with the word null for one", [finish("null", { content: "a" }), finish("None")]],
  ])("that ends %s without a finish reason was cut", (_, frames) => {
    expect(toReply(eventsOf(frames))).toMatchObject({ ok: false, code: "STREAM_CUT" });
    expect(toReply(eventsOf(frames, "cut"))).toMatchObject({ ok: false, code: "STREAM_CUT" });
  });

  it("with a sentinel and no finish reason is complete when the whole was counted (Snowflake)", () => {
    expect(replyTo(text("4"), text(""), usage, done)).toMatchObject({ ok: true, usage: told });
  });

  it.each<[what: string, frames: readonly Frame[]]>([
    ["nothing was counted, as by a proxy whose upstream was cut", [text("4"), done]],
    ["content came after the count", [usage, text("4"), done]],
    ["usage so far came with each chunk", [{ ...text("4"), usage: usage.usage }, done]],
  ])("with a sentinel and no finish reason was cut when %s", (_, frames) => {
    expect(codeOf(...frames)).toBe("STREAM_CUT");
  });

  it("of no frame, or of a sentinel alone, is no answer", () => {
    expect(codeOf()).toBe("PROVIDER_UNAVAILABLE");
    expect(codeOf(done)).toBe("PROVIDER_UNAVAILABLE");
    expect(codeOf("", done)).toBe("PROVIDER_UNAVAILABLE");
    expect(toReply(eventsOf([], "cut"))).toMatchObject({ code: "STREAM_CUT" });
  });

  it.each([
    "{",
    `{"choices":[{"delta":{"content":"${sentinel}`,
    sentinel,
    "null",
    "7",
    '"x"',
    "[]",
  ])("with the frame %s, which is no chunk, fails at once", (frame) => {
    expect(codeOf(text("a"), frame, finish("stop"), done)).toBe("PROVIDER_UNAVAILABLE");
    expect(codeOf(frame)).toBe("PROVIDER_UNAVAILABLE");
  });

  it.each([
    ["stop", "ok"],
    ["eos", "ok"],
    ["length", "OUTPUT_TRUNCATED"],
    ["model_length", "OUTPUT_TRUNCATED"],
    ["content_filter", "CONTENT_FILTERED"],
    ["error", "PROVIDER_UNAVAILABLE"],
    ["insufficient_system_resource", "PROVIDER_UNAVAILABLE"],
  ])("that finishes by %s is %s", (reason, code) => {
    expect(codeOf(text("a"), finish(reason), done)).toBe(code);
  });

  it("with several finish reasons (OpenRouter) is complete only if all of them are", () => {
    expect(codeOf(text("a"), finish("stop"), finish("stop"), done)).toBe("ok");
    expect(codeOf(text("a"), finish("length"), finish("stop"), done)).toBe("OUTPUT_TRUNCATED");
    expect(codeOf(text("a"), finish("stop"), finish("length"), done)).toBe("OUTPUT_TRUNCATED");
  });

  it.each<[what: string, delta: object]>([
    ["in words", { refusal: sentinel }],
    ["as a part", { content: [{ type: "refusal", refusal: sentinel }] }],
  ])("that refuses %s is a refusal, with what it cost", (_, delta) => {
    expect(replyTo(choice(delta), finish("stop"), usage, done)).toEqual({
      ok: false,
      code: "REFUSED",
      dispatched: true,
      usage: told,
    });
  });

  it("that was cut while it refused was cut", () => {
    expect(codeOf(choice({ refusal: "I" }))).toBe("STREAM_CUT");
  });

  it("with an empty refusal (Snowflake) is none", () => {
    expect(codeOf(choice({ content: "4", refusal: "" }), finish("stop"))).toBe("ok");
  });

  it.each<[host: string, delta: object]>([
    ["DeepSeek and vLLM", { reasoning_content: "hm", content: null }],
    ["OpenRouter and Groq", { reasoning: "hm", content: "" }],
    ["a host that tells it under both names", { reasoning_content: "hm", reasoning: "hm" }],
    ["Mistral", { content: [{ type: "thinking", thinking: [{ type: "text", text: "hm" }] }] }],
    ["a thinking part that is a text", { content: [{ type: "thinking", thinking: "hm" }] }],
    ["a reasoning part", { content: [{ type: "reasoning", text: "hm" }] }],
  ])("tells reasoning apart from text: %s", (_, delta) => {
    const events = eventsOf([choice(delta), text("a"), finish("stop"), done]);
    expect(events).toEqual([
      { type: "reasoning-delta", text: "hm" },
      { type: "text-delta", text: "a" },
      { type: "progress" },
      { type: "finish" },
    ]);
    expect(toReply(events)).toMatchObject({ output: { text: "a" } });
  });

  it("tells the reasoning of a chunk before its text", () => {
    const both = choice({ reasoning_content: "hm", content: "a" });
    expect(eventsOf([both, finish("stop"), done]).slice(0, 2)).toEqual([
      { type: "reasoning-delta", text: "hm" },
      { type: "text-delta", text: "a" },
    ]);
  });

  it("is alive with reasoning that is empty or no text", () => {
    const odd = [
      choice({ reasoning_content: "" }),
      choice({ reasoning: { text: sentinel } }),
      choice({ content: [{ type: "thinking", thinking: 7 }] }),
    ];
    expect(eventsOf(odd).slice(0, -1)).toEqual(odd.map(() => ({ type: "progress" })));
  });

  it("has its content in parts, in a message, or bare (legacy completions)", () => {
    expect(replyTo(text([{ type: "text", text: "a" }]), finish("stop"))).toMatchObject({
      output: { text: "a" },
    });
    const message = { index: 0, message: { content: "b" }, finish_reason: "stop" };
    expect(replyTo({ choices: [message] })).toMatchObject({ output: { text: "b" } });
    const bare = { index: 0, text: "c", finish_reason: "stop" };
    expect(replyTo({ choices: [bare] })).toMatchObject({ output: { text: "c" } });
  });

  it.each<[what: string, delta: object, code: string]>([
    ["null", { content: null }, "OUTPUT_NOT_JSON"],
    ["no content", { role: "assistant" }, "OUTPUT_NOT_JSON"],
    ["empty content", { content: "" }, "ok"],
  ])("S19 of %s alone is what the whole answer would be", (_, message, code) => {
    expect(codeOf(choice(message), finish("stop"), done)).toBe(code);
    const whole = fromChatCompletion({ choices: [{ index: 0, message, finish_reason: "stop" }] });
    expect(whole.ok ? "ok" : whole.code).toBe(code);
  });

  it("S19 has a part that is no array as its content", () => {
    expect(replyTo(text({ type: "text", text: "a" }), finish("stop"))).toMatchObject({
      output: { text: "a" },
    });
  });

  it("S12 whose chunks have a type too is read", () => {
    const typed = { type: "chat.completion.chunk", ...finish("stop", { content: "a" }) };
    expect(replyTo(typed, done)).toMatchObject({ ok: true, output: { text: "a" } });
  });

  it("S12 whose index is a string is read", () => {
    const frame = choice({ content: "a" }, { index: "0", finish_reason: "stop" });
    expect(replyTo(frame, done)).toMatchObject({ ok: true, output: { text: "a" } });
  });

  it("S12 whose only choice has the index 1 is that choice", () => {
    const frames = [
      choice({ content: "a" }, { index: 1 }),
      choice({ content: "b" }, { index: 1, finish_reason: "stop" }),
    ];
    expect(replyTo(...frames, done)).toMatchObject({ ok: true, output: { text: "ab" } });
    expect(replyTo(choice({ content: "x" }, { index: 2 }), ...frames, done).ok).toBe(false);
    expect(replyTo(...frames, text("c"), finish("stop"))).toMatchObject({ output: { text: "c" } });
  });

  it.each([0, null, false, "", {}, []])("S12 with %j as the error of a chunk is good", (error) => {
    const frames = [
      { ...text("a"), error },
      { ...finish("stop"), error },
    ];
    expect(replyTo(...frames, done)).toMatchObject({ ok: true, output: { text: "a" } });
  });

  it("is its first choice", () => {
    const second = { choices: [{ index: 1, delta: { content: "x" }, finish_reason: "length" }] };
    expect(replyTo(text("a"), second, finish("stop"), second, done)).toMatchObject({
      ok: true,
      output: { text: "a" },
    });
  });
});

describe("usage", () => {
  it.each<[what: string, frames: readonly Frame[]]>([
    ["after the end, without choices", [finish("stop"), usage]],
    ["with the last choice", [{ ...finish("stop"), usage: usage.usage }]],
    ["in Groq's own member", [{ ...finish("stop"), x_groq: { usage: usage.usage } }]],
    [
      "so far with each chunk (Perplexity)",
      [
        { ...text("b"), usage: { prompt_tokens: 3, completion_tokens: 1 } },
        { ...finish("stop"), usage: usage.usage },
      ],
    ],
    ["as null until it is known", [{ ...finish("stop"), usage: null }, usage]],
  ])("is told %s", (_, frames) => {
    expect(replyTo(text("a"), ...frames, done)).toMatchObject({ ok: true, usage: told });
  });

  it("is told at once, and again only when it changes", () => {
    const frames = [
      { ...text("a"), usage: usage.usage },
      { ...text("b"), usage: usage.usage },
    ];
    const types = eventsOf([...frames, finish("stop"), usage, done]).map(({ type }) => type);
    expect(types).toEqual(["text-delta", "usage", "text-delta", "progress", "progress", "finish"]);
  });

  it.each<[what: string, later: object]>([
    ["zeros", { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }],
    ["a smaller count", { prompt_tokens: 3, completion_tokens: 1 }],
  ])("S2 is not taken back by %s", (_, later) => {
    const frames = [
      { ...text("a"), usage: usage.usage },
      finish("stop"),
      { choices: [], usage: later },
    ];
    expect(replyTo(...frames, done)).toMatchObject({ ok: true, usage: told });
    expect(replyTo(frames[0] ?? {}, { error: "x", usage: later })).toMatchObject({ usage: told });
  });

  it("S2 of zeros is none", () => {
    const zeros = { prompt_tokens: 0, completion_tokens: 0 };
    const frames = [
      { ...text("a"), usage: zeros },
      { ...finish("stop"), usage: zeros },
    ];
    const events = eventsOf([...frames, done]);
    expect(events.filter(({ type }) => type === "usage")).toEqual([]);
    expect(toReply(eventsOf(frames.slice(0, 1), "cut")).usage).toBeUndefined();
  });

  it("goes with a failure that comes after it", () => {
    const counted = { ...text("a"), usage: usage.usage };
    for (const end of ["{", { error: "x" }, { error: "x", usage: usage.usage }, finish("length")]) {
      expect(replyTo(counted, end, done)).toMatchObject({ ok: false, usage: told });
    }
    expect(toReply(eventsOf([counted], "cut"))).toMatchObject({ code: "STREAM_CUT", usage: told });
  });
});

describe("an error inside the stream", () => {
  const message = `because ${sentinel}`;
  it.each<[what: string, frame: Frame, code: string]>([
    ["in the place of choices", { error: { message, code: 503 } }, "PROVIDER_UNAVAILABLE"],
    ["beside choices", { ...text("a"), error: { message, code: 429 } }, "PROVIDER_RATE_LIMITED"],
    [
      "in the choice (OpenRouter)",
      choice({ content: "" }, { finish_reason: "error", error: { message, code: 401 } }),
      "PROVIDER_AUTH",
    ],
    ["as a bare string", { error: message }, "PROVIDER_UNAVAILABLE"],
    ["as an array (Cloudflare)", { error: [{ message, code: 2005 }] }, "PROVIDER_UNAVAILABLE"],
    ["in an array (Gemini)", [{ error: { message, code: 429 } }], "PROVIDER_RATE_LIMITED"],
    [
      "with a status of its own (Groq)",
      { error: { message, code: "tool_use_failed", status_code: 400 } },
      "PROVIDER_BAD_REQUEST",
    ],
    ["in Groq's own member", { choices: [], x_groq: { error: message } }, "PROVIDER_UNAVAILABLE"],
    ["as vLLM's object", { object: "error", message, code: 400 }, "PROVIDER_BAD_REQUEST"],
    ["of spent quota", { error: { message, code: "insufficient_quota" } }, "PROVIDER_QUOTA"],
  ])("%s ends it: %#", (_, frame, code) => {
    expect(codeOf(frame)).toBe(code);
    expect(codeOf(text("a"), frame, finish("stop"), done)).toBe(code);
  });

  it("says how long to wait", () => {
    const error = { code: "rate_limit_exceeded", message: "Please try again in 1.574s. Visit" };
    expect(replyTo({ error })).toMatchObject({ code: "PROVIDER_RATE_LIMITED", retryAfterMs: 1574 });
  });

  it.each([`{"message":"${sentinel}","code":503}`, sentinel, '"x"', "{", "7", ""])(
    "that only its event's name tells ends it: %s",
    (data) => {
      const queue: ProviderEvent[] = [];
      const answer = answerStream(queue, "key-1");
      answer.push(JSON.stringify(text("a")), undefined);
      answer.push(data, "error");
      expect(queue).toEqual([
        { type: "text-delta", text: "a" },
        expect.objectContaining({ type: "failed" }),
      ]);
      expect(toReply(queue)).toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
    },
  );

  it("S23 in arrays without end is a failure, and nothing is thrown", () => {
    const deep = "[".repeat(50_000) + "]".repeat(50_000);
    expect(codeOf(text("a"), deep)).toBe("PROVIDER_UNAVAILABLE");
    expect(codeOf(text("a"), `{"error":${deep}}`)).toBe("PROVIDER_UNAVAILABLE");
  });
});

const callsOf = (...deltas: readonly object[]) => {
  const reply = replyTo(...deltas.map((delta) => choice(delta)), finish("tool_calls"), done);
  return reply.ok ? reply.toolCalls : reply.code;
};
const part = (more: object, name?: string, args?: unknown) => ({
  tool_calls: [{ ...more, type: "function", function: { name, arguments: args } }],
});

describe("tool calls", () => {
  const a = { id: "1", name: "a", arguments: '{"x":1}' };
  const b = { id: "2", name: "b", arguments: "{}" };

  it("are put together by their index", () => {
    expect(
      callsOf(
        part({ index: 0, id: "1" }, "a", ""),
        part({ index: 0 }, undefined, '{"x"'),
        part({ index: 1, id: "2" }, "b", "{"),
        part({ index: 0 }, "", ":1}"),
        part({ index: 1, id: "2" }, "b", "}"),
      ),
    ).toEqual([a, b]);
  });

  it.each<[what: string, deltas: readonly object[]]>([
    [
      "with an index",
      [part({ index: 0, id: "1" }, "a", '{"x":1}'), part({ index: 1, id: "2" }, "b", "{}")],
    ],
    ["without an index", [part({ id: "1" }, "a", '{"x":1}'), part({ id: "2" }, "b", "{}")]],
    [
      "all with the index 0",
      [part({ index: 0, id: "1" }, "a", '{"x":1}'), part({ index: 0, id: "2" }, "b", "{}")],
    ],
    [
      "in parts, without an index",
      [part({ id: "1" }, "a", '{"x"'), part({}, undefined, ":1}"), part({ id: "2" }, "b", "{}")],
    ],
    [
      "in parts, with their ids alone",
      [
        part({ id: "1" }, "a", '{"x"'),
        part({ id: "2" }, "b", "{}"),
        part({ id: "1" }, undefined, ":1}"),
      ],
    ],
    ["with parsed arguments", [part({ id: "1" }, "a", { x: 1 }), part({ id: "2" }, "b", {})]],
  ])("of hosts that send them %s are the same", (_, deltas) => {
    expect(callsOf(...deltas)).toEqual([a, b]);
  });

  it.each([undefined, null, ""])("with the arguments %j have none", (args) => {
    expect(callsOf(part({ index: 0, id: "2" }, "b", args))).toEqual([b]);
  });

  it("with arguments nested beyond what a stack holds have none that are any good", () => {
    const deep = `{"choices":[{"index":0,"delta":{"tool_calls":[{"id":"1","function":{"name":"a","arguments":${"[".repeat(50_000)}${"]".repeat(50_000)}}}]},"finish_reason":"stop"}]}`;
    const reply = replyTo(deep, done);
    expect(reply).toMatchObject({ ok: true, toolCalls: [{ ...a, arguments: "null" }] });
  });

  it("without an id have one", () => {
    expect(callsOf(part({ index: 0 }, "a", "{}"), part({ index: 1 }, "b", "{}"))).toEqual([
      { id: "call_key1_0", name: "a", arguments: "{}" },
      { id: "call_key1_1", name: "b", arguments: "{}" },
    ]);
  });

  it("of the older kind are one", () => {
    expect(
      callsOf(
        { function_call: { name: "a", arguments: "" } },
        { function_call: { arguments: '{"x":1}' } },
      ),
    ).toEqual([{ ...a, id: "call_key1_0" }]);
  });

  it.each<[what: string, id: unknown, ids: readonly string[]]>([
    ["numbers as ids", (at: number) => at, ["1", "2"]],
    ["no ids", () => undefined, ["call_key1_0", "call_key1_1"]],
    ["one id", () => "same", ["same", "call_key1_1"]],
  ])("S26 of another name with the same index and %s are another", (_, id, ids) => {
    const idOf = id as (at: number) => unknown;
    const parts = [
      part({ index: 0, id: idOf(1) }, "a", '{"x"'),
      part({ index: 0 }, undefined, ":1}"),
      part({ index: ids[0] === "same" ? 1 : 0, id: idOf(2) }, "b", "{}"),
    ];
    expect(callsOf(...parts)).toEqual([
      { ...a, id: ids[0] },
      { ...b, id: ids[1] },
    ]);
  });

  it("S26 whose name comes with each part are one", () => {
    const parts = [part({ index: 0, id: "1" }, "a", '{"x"'), part({ index: 0 }, "a", ":1}")];
    expect(callsOf(...parts)).toEqual([a]);
    const named = [part({ index: 0, id: "1" }, "a", '{"x"'), part({ index: 0 }, "b", ":1}")];
    expect(callsOf(...named)).toEqual([a]);
    const older = [
      { name: "a", arguments: '{"x"' },
      { name: "a", arguments: ":1}" },
    ];
    expect(callsOf(...older.map((function_call) => ({ function_call })))).toEqual([
      { ...a, id: "call_key1_0" },
    ]);
  });

  it("that are empty are none", () => {
    const nothing = { function_call: { name: "", arguments: "" }, tool_calls: null };
    expect(replyTo(text("a"), choice(nothing), finish("stop"), done)).toMatchObject({
      ok: true,
      output: { text: "a" },
    });
  });

  it.each<[what: string, deltas: readonly object[]]>([
    ["that were promised and never came", []],
    ["that came empty", [{ tool_calls: [] }]],
    ["without a name", [part({ index: 0, id: "1" }, undefined, "{}")]],
    ["of which one has no name", [part({ id: "1" }, "a"), part({ id: "2" }, undefined, "{}")]],
  ])("S10 %s make no answer", (_, deltas) => {
    expect(callsOf({ content: "Let me look" }, ...deltas)).toBe("PROVIDER_UNAVAILABLE");
  });

  it("come whole, after the last part and before the end", () => {
    const frames = [
      choice(part({ index: 0, id: "2" }, "b", "{")),
      choice(part({ index: 0 }, "", "}")),
    ];
    expect(eventsOf([...frames, finish("tool_calls"), usage, done]).slice(-3)).toEqual([
      { type: "usage", usage: told },
      { type: "tool-call", call: b },
      { type: "finish" },
    ]);
  });

  it("that were cut never come", () => {
    const events = eventsOf([choice(part({ index: 0, id: "2" }, "b", "{"))], "cut");
    expect(events.map(({ type }) => type)).toEqual(["progress", "failed"]);
  });
});
