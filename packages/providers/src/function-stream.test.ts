import { Readable } from "node:stream";
import type { ProviderCall, ProviderEvent } from "@sluice/contract";
import { describe, expect, it, vi } from "vitest";
import { functionProvider, type FunctionContext } from "./function-provider.ts";
import { ProviderError } from "./provider-error.ts";

const call = (more: Partial<ProviderCall<string>> = {}): ProviderCall<string> => ({
  input: "job",
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

type Fn = (input: string, context: FunctionContext) => unknown;
const stream = (fn: Fn) =>
  functionProvider(fn).stream?.(call()) as AsyncGenerator<ProviderEvent, void>;
async function eventsOf(fn: Fn): Promise<readonly ProviderEvent[]> {
  const events: ProviderEvent[] = [];
  for await (const event of stream(fn)) events.push(event);
  return events;
}
const generate = (fn: Fn) => functionProvider(fn).generate(call());

const text = (words: string) => ({ type: "text-delta", text: words }) as const;
const finish = { type: "finish" } as const;
const usage = { inputTokens: 3, outputTokens: 4 };
const failed = (code: string, more: object = {}) => ({
  type: "failed",
  failure: { ok: false, code, dispatched: true, ...more },
});

const bytes = (words: string): Uint8Array => new TextEncoder().encode(words);
async function* inParts(...parts: readonly unknown[]) {
  yield* parts;
}

function* endless() {
  for (;;) yield "x".repeat(1024 * 1024);
}

describe("an answer in parts", () => {
  it.each<[what: string, fn: Fn]>([
    ["an async generator", () => inParts("Hé", "llo")],
    ["a promise of one", async () => inParts("Hé", "llo")],
    ["a generator", () => ["Hé", "llo"].values()],
    ["a ReadableStream", () => ReadableStream.from(["Hé", "llo"])],
    ["a Node stream", () => Readable.from(["Hé", "llo"])],
    ["UTF-8 bytes", () => ReadableStream.from([bytes("Hé"), bytes("llo")])],
    [
      "an iterator that is not iterable",
      () => {
        const parts = ["Hé", "llo"];
        return { next: () => ({ done: parts.length === 0, value: parts.shift() }) };
      },
    ],
    ["events of a provider", () => inParts(text("Hé"), text("llo"), finish)],
  ])("from %s is its text", async (_, fn) => {
    expect(await eventsOf(fn)).toEqual([text("Hé"), text("llo"), finish]);
    expect(await generate(fn)).toEqual({ ok: true, output: { kind: "text", text: "Héllo" } });
  });

  it("has reasoning, which is no part of its text", async () => {
    const reasoning = { type: "reasoning-delta", text: "hm" };
    const fn: Fn = () => inParts(reasoning, text("a"), finish);
    expect(await eventsOf(fn)).toEqual([reasoning, text("a"), finish]);
    expect(await generate(fn)).toEqual({ ok: true, output: { kind: "text", text: "a" } });
  });

  it("split inside a letter is put together", async () => {
    const parts = [...bytes("é𝄞")].map((byte) => Uint8Array.of(byte));
    const events = await eventsOf(() => inParts(...parts));
    expect(events.filter(({ type }) => type === "text-delta")).toEqual([text("é"), text("𝄞")]);
    expect(await eventsOf(() => inParts(bytes("é").subarray(0, 1)))).toEqual([
      { type: "progress" },
      text("\ufffd"),
      finish,
    ]);
  });

  it("has tool calls and usage", async () => {
    const toolCall = { id: "1", name: "a", arguments: "{}" };
    const fn: Fn = () =>
      inParts(text("x"), { type: "tool-call", call: toolCall }, { type: "usage", usage }, finish);
    expect(await eventsOf(fn)).toEqual([
      text("x"),
      { type: "tool-call", call: toolCall },
      { type: "usage", usage },
      finish,
    ]);
    expect(await generate(fn)).toEqual({
      ok: true,
      output: { kind: "text", text: "x" },
      toolCalls: [toolCall],
      usage,
    });
  });

  it("has the usage that is reported while it flows", async () => {
    const fn: Fn = async function* (_, context) {
      yield "x";
      context.usage(usage);
    };
    expect(await eventsOf(fn)).toEqual([text("x"), { type: "usage", usage }, finish]);
    expect(await generate(fn)).toMatchObject({ ok: true, usage });
  });

  it("of events that do not tell their end was cut", async () => {
    const fn: Fn = () => inParts(text("x"));
    expect(await eventsOf(fn)).toEqual([text("x"), failed("STREAM_CUT")]);
    expect(await generate(fn)).toMatchObject({ ok: false, code: "STREAM_CUT" });
  });

  it("ends with its terminal event, whatever comes after", async () => {
    const failure = { ok: false, code: "REFUSED", dispatched: true };
    expect(await eventsOf(() => inParts("x", finish, "y"))).toEqual([text("x"), finish]);
    expect(await eventsOf(() => inParts({ type: "failed", failure }, "y"))).toEqual([
      { type: "failed", failure },
    ]);
  });

  it.each([[7], [null], [undefined], [{}], [{ type: "text-delta" }], [{ type: "tool-call" }]])(
    "with %j among its parts is a mistake of the function's",
    async (part) => {
      expect(await eventsOf(() => inParts("x", part))).toEqual([text("x"), failed("INTERNAL")]);
      expect(await generate(() => inParts("x", part))).toMatchObject({ code: "INTERNAL" });
    },
  );

  it.each([[{ type: "failed" }], [{ type: "failed", failure: { code: "LATER_CODE" } }]])(
    "that fails in no known way, %j, is the provider out of reach",
    async (part) => {
      expect(await eventsOf(() => inParts(part))).toEqual([failed("PROVIDER_UNAVAILABLE")]);
    },
  );

  it.each<[thrown: unknown, code: string]>([
    [new Error("secret"), "PROVIDER_UNAVAILABLE"],
    [undefined, "PROVIDER_UNAVAILABLE"],
    [Object.assign(new Error("secret"), { status: 200 }), "PROVIDER_UNAVAILABLE"],
    [new ProviderError("REFUSED"), "REFUSED"],
  ])("that throws %j in the middle fails, with what was used", async (thrown, code) => {
    const fn: Fn = async function* (_, context) {
      context.usage(usage);
      yield "x";
      throw thrown;
    };
    expect(await eventsOf(fn)).toEqual([text("x"), failed(code, { usage })]);
    expect(await generate(fn)).toEqual({ ok: false, code, dispatched: true, usage });
  });

  it.each<[what: string, frames: readonly object[]]>([
    [
      "Chat Completions",
      [
        { choices: [{ index: 0, delta: { content: "Hé" }, finish_reason: null }] },
        { choices: [{ index: 0, delta: { content: "llo" }, finish_reason: "stop" }] },
        { choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } },
      ],
    ],
    [
      "Responses",
      [
        { type: "response.output_text.delta", delta: "Hé" },
        { type: "response.output_text.delta", delta: "llo" },
        {
          type: "response.completed",
          response: { status: "completed", usage: { input_tokens: 3, output_tokens: 4 } },
        },
      ],
    ],
  ])("S14 of the OpenAI client's %s is read as from the wire", async (_, frames) => {
    const fn: Fn = () => inParts(...frames);
    expect(await generate(fn)).toMatchObject({ ok: true, output: { text: "Héllo" }, usage });
    const events = await eventsOf(fn);
    expect(events.slice(0, 2)).toEqual([text("Hé"), text("llo")]);
    expect(events.at(-1)).toEqual(finish);
    const cut = await eventsOf(() => inParts(...frames.slice(0, 1)));
    expect(cut).toEqual([text("Hé"), failed("STREAM_CUT")]);
  });

  it("S14 of the OpenAI client's chunks with an error among them is that error", async () => {
    const chunk = { choices: [{ index: 0, delta: { content: "x" }, finish_reason: null }] };
    const fn: Fn = () => inParts(chunk, { error: { code: "insufficient_quota" } });
    expect(await eventsOf(fn)).toEqual([text("x"), failed("PROVIDER_QUOTA")]);
  });

  it("I12 that never ends is not collected without bound", async () => {
    expect(await generate(endless)).toMatchObject({ ok: false, code: "PROVIDER_UNAVAILABLE" });
  });
});

describe("an answer in one piece", () => {
  it.each<[value: unknown, events: readonly unknown[]]>([
    ["prose", [text("prose"), finish]],
    ["", [finish]],
    [{ a: 1 }, [text('{"a":1}'), finish]],
    [[1], [text("[1]"), finish]],
    [null, [text("null"), finish]],
    [undefined, [failed("OUTPUT_NOT_JSON")]],
    [1n, [failed("OUTPUT_NOT_JSON")]],
  ])("%s streams as one", async (value, events) => {
    expect(await eventsOf(() => value)).toEqual(events);
  });

  it("that is thrown instead fails", async () => {
    const events = await eventsOf(() => Promise.reject(new ProviderError("PROVIDER_QUOTA")));
    expect(events).toEqual([failed("PROVIDER_QUOTA")]);
  });
});

/** Parts without end, and who saw them. */
function source() {
  let given = 0;
  const left = vi.fn<() => void>();
  async function* parts() {
    try {
      for (;;) yield `${(given += 1)}`;
    } finally {
      left();
    }
  }
  return { parts, left, given: () => given };
}

async function* throwsWhenLeft() {
  try {
    yield "x";
  } finally {
    await Promise.reject(new Error("secret"));
  }
}

describe("a reader", () => {
  it("pulls one part at a time", async () => {
    const { parts, given } = source();
    const events = stream(parts);
    expect(given()).toBe(0);
    await events.next();
    await events.next();
    await new Promise(setImmediate);
    expect(given()).toBe(2);
    await events.return();
  });

  it("who leaves ends the source", async () => {
    const { parts, left } = source();
    const events = stream(parts);
    await events.next();
    expect(left).not.toHaveBeenCalled();
    await events.return();
    expect(left).toHaveBeenCalledOnce();
  });

  it("who leaves does not hear what that throws", async () => {
    const events = stream(throwsWhenLeft);
    await events.next();
    expect(await events.return()).toEqual({ done: true, value: undefined });
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });
});
