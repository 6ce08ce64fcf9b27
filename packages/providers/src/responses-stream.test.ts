import type { ProviderEvent } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { answerStream } from "./answer-stream.ts";
import { fromResponse } from "./from-response.ts";
import { toReply } from "./to-reply.ts";

/** Stands in every upstream text that is no content; no event may hold it. */
const sentinel = "sentinel-7f3a";

function eventsOf(frames: readonly object[], how: "ended" | "cut" = "ended"): ProviderEvent[] {
  const queue: ProviderEvent[] = [];
  const answer = answerStream(queue, "key-1");
  for (const frame of frames) {
    const { type } = frame as { type?: string };
    answer.push(JSON.stringify(frame), type);
  }
  answer.end(how);
  expect(JSON.stringify(queue)).not.toContain(sentinel);
  return queue;
}
const replyTo = (...frames: readonly object[]) => toReply(eventsOf(frames));
const codeOf = (...frames: readonly object[]): string => {
  const reply = replyTo(...frames);
  return reply.ok ? "ok" : reply.code;
};

const usage = { input_tokens: 3, output_tokens: 4, total_tokens: 7 };
const told = { inputTokens: 3, outputTokens: 4 };
const message = (...content: readonly object[]) => ({
  type: "message",
  role: "assistant",
  content,
});
const words = (text: string) => ({ type: "output_text", text, annotations: [] });
const call = { type: "function_call", call_id: "c1", id: "fc1", name: "a", arguments: '{"x":1}' };
const response = (status: string, output: readonly object[], more: object = {}) => ({
  object: "response",
  status,
  error: null,
  incomplete_details: null,
  output,
  usage,
  ...more,
});

const created = { type: "response.created", response: response("in_progress", []) };
const delta = (text: string) => ({ type: "response.output_text.delta", delta: text });
const completed = (...output: readonly object[]) => ({
  type: "response.completed",
  response: response("completed", output),
});

describe("a stream of the Responses API", () => {
  it("is its text as it came, its usage, and its end", () => {
    const frames = [created, delta("Hel"), delta("lo"), completed(message(words("Hello")))];
    expect(eventsOf(frames)).toEqual([
      { type: "progress" },
      { type: "text-delta", text: "Hel" },
      { type: "text-delta", text: "lo" },
      { type: "usage", usage: told },
      { type: "finish" },
    ]);
  });

  it("that did not stream its text has it at the end", () => {
    expect(replyTo(created, completed(message(words("Hello"))))).toMatchObject({
      ok: true,
      output: { text: "Hello" },
    });
  });

  it.each<[what: string, frames: readonly object[]]>([
    ["when their item is done", [{ type: "response.output_item.done", item: call }, completed()]],
    ["in the whole answer", [completed(call)]],
    ["in both, once", [{ type: "response.output_item.done", item: call }, completed(call)]],
  ])("has its tool calls %s", (_, frames) => {
    expect(replyTo(created, ...frames)).toMatchObject({
      ok: true,
      toolCalls: [{ id: "c1", name: "a", arguments: '{"x":1}' }],
    });
  });

  it("tells reasoning and its summary apart from text, each part a paragraph", () => {
    const frames = [
      { type: "response.reasoning_summary_part.added", summary_index: 0 },
      { type: "response.reasoning_summary_text.delta", delta: "one" },
      { type: "response.reasoning_summary_part.added", summary_index: 1 },
      { type: "response.reasoning_summary_text.delta", delta: "two" },
      { type: "response.reasoning_text.delta", delta: "three" },
    ];
    expect(eventsOf([created, ...frames]).slice(0, -1)).toEqual([
      { type: "progress" },
      { type: "progress" },
      { type: "reasoning-delta", text: "one" },
      { type: "reasoning-delta", text: "\n\n" },
      { type: "reasoning-delta", text: "two" },
      { type: "reasoning-delta", text: "three" },
    ]);
  });

  it("shows every other event as a sign of life", () => {
    const others = [
      { type: "response.reasoning_text.delta", delta: { text: sentinel } },
      { type: "response.function_call_arguments.delta", delta: sentinel },
      { type: "response.web_search_call.searching" },
      { type: "keepalive" },
    ];
    expect(eventsOf([created, ...others]).slice(0, -1)).toEqual(
      Array.from({ length: 5 }, () => ({ type: "progress" })),
    );
  });

  it.each(["ended", "cut"] as const)("that %s before it is completed was cut", (how) => {
    const frames = [created, delta("a"), { type: "response.output_text.done", text: "a" }];
    expect(toReply(eventsOf(frames, how))).toMatchObject({ ok: false, code: "STREAM_CUT" });
  });

  it("with Chat Completions chunks (Azure) is understood", () => {
    const chunk = { choices: [{ index: 0, delta: { content: "a" }, finish_reason: "stop" }] };
    expect(replyTo(chunk)).toMatchObject({ ok: true, output: { text: "a" } });
  });

  it.each([
    [{ reason: "max_output_tokens" }, "OUTPUT_TRUNCATED"],
    [{ reason: "content_filter" }, "CONTENT_FILTERED"],
    [null, "OUTPUT_TRUNCATED"],
  ])("that is incomplete for %j is %s", (incomplete_details, code) => {
    const incomplete = {
      type: "response.incomplete",
      response: response("incomplete", [message(words("a"))], { incomplete_details }),
    };
    expect(replyTo(created, delta("a"), incomplete)).toMatchObject({ code, usage: told });
  });

  it.each<[status: string, more: object, code: string]>([
    ["incomplete", {}, "OUTPUT_TRUNCATED"],
    ["incomplete", { incomplete_details: { reason: "content_filter" } }, "CONTENT_FILTERED"],
    ["failed", {}, "PROVIDER_UNAVAILABLE"],
    ["completed", { error: { code: "rate_limit_exceeded" } }, "PROVIDER_RATE_LIMITED"],
  ])("S22 whose last event is called complete obeys its status %s %j", (status, more, code) => {
    const last = { type: "response.completed", response: { status, ...more } };
    expect(codeOf(created, delta("a"), last)).toBe(code);
  });

  it("S10 with a call that has no name is no answer", () => {
    const item = { ...call, name: "" };
    const done = { type: "response.output_item.done", item };
    expect(codeOf(created, delta("a"), done, completed(message(words("a"))))).toBe(
      "PROVIDER_UNAVAILABLE",
    );
  });

  it("S19 that holds nothing is what the whole answer would be", () => {
    expect(codeOf(created, completed())).toBe("OUTPUT_NOT_JSON");
    expect(fromResponse(response("completed", []))).toMatchObject({ code: "OUTPUT_NOT_JSON" });
  });

  it("that refuses is a refusal, streamed or not", () => {
    const refusal = { type: "refusal", refusal: sentinel };
    const streamed = { type: "response.refusal.delta", delta: sentinel };
    expect(codeOf(created, streamed, completed(message(refusal)))).toBe("REFUSED");
    expect(codeOf(created, completed(message(refusal)))).toBe("REFUSED");
    expect(codeOf(created, streamed, completed())).toBe("REFUSED");
  });

  const failed = (code: string) => ({
    type: "response.failed",
    response: response("failed", [], { error: { code, message: sentinel } }),
  });

  it.each<[what: string, frames: readonly object[], code: string]>([
    [
      "by an error event",
      [{ type: "error", code: "insufficient_quota", message: sentinel }],
      "PROVIDER_QUOTA",
    ],
    [
      "by an error in one, which says more than the failure after it",
      [
        { type: "error", error: { code: "insufficient_quota", message: sentinel } },
        failed("server_error"),
      ],
      "PROVIDER_QUOTA",
    ],
    ["by its failure", [failed("server_error")], "PROVIDER_UNAVAILABLE"],
    ["by a failure of the caller's", [failed("rate_limit_exceeded")], "PROVIDER_RATE_LIMITED"],
    ["by a filter", [failed("invalid_prompt")], "PROVIDER_BAD_REQUEST"],
    ["by a failure that says nothing", [{ type: "response.failed" }], "PROVIDER_UNAVAILABLE"],
    ["by an end that others asked for", [{ type: "response.cancelled" }], "PROVIDER_UNAVAILABLE"],
  ])("that fails %s fails", (_, frames, code) => {
    expect(codeOf(created, delta("a"), ...frames)).toBe(code);
  });
});

describe("an answer of the Responses API", () => {
  it("is the text of its messages, with what it cost", () => {
    const output = [
      { type: "reasoning", summary: [{ type: "summary_text", text: sentinel }] },
      message(words("Hel"), words("lo")),
      message(words("!")),
    ];
    expect(fromResponse(response("completed", output))).toEqual({
      ok: true,
      output: { kind: "text", text: "Hello!" },
      usage: told,
    });
  });

  it("has the calls of our tools, and none of the host's own", () => {
    const output = [{ type: "web_search_call" }, call, { ...call, call_id: "c2", arguments: "" }];
    expect(fromResponse(response("completed", output))).toMatchObject({
      toolCalls: [
        { id: "c1", arguments: '{"x":1}' },
        { id: "c2", arguments: "{}" },
      ],
    });
  });

  it.each<[answer: unknown, code: string]>([
    [null, "PROVIDER_UNAVAILABLE"],
    [{}, "PROVIDER_UNAVAILABLE"],
    [response("in_progress", []), "PROVIDER_UNAVAILABLE"],
    [response("failed", [], { error: { code: "server_error" } }), "PROVIDER_UNAVAILABLE"],
    [response("completed", []), "OUTPUT_NOT_JSON"],
    [response("expired", [message(words("a"))]), "PROVIDER_UNAVAILABLE"],
    [response("completed", [message(words("a")), { ...call, name: "" }]), "PROVIDER_UNAVAILABLE"],
    [{ object: "response", status: "incomplete" }, "OUTPUT_TRUNCATED"],
    [response("incomplete", [message(words("a"))]), "OUTPUT_TRUNCATED"],
    [response("completed", [message({ type: "refusal", refusal: "no" })]), "REFUSED"],
  ])("%j is %s", (answer, code) => {
    expect(fromResponse(answer)).toMatchObject({ ok: false, code });
  });
});
