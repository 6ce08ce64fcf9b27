import { failureCodes } from "@sluice/contract";
import { chatCompletion } from "@sluice/testkit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromChatCompletion } from "./from-chat-completion.ts";

const codeOf = (answer: unknown) => {
  const reply = fromChatCompletion(answer);
  return reply.ok ? "ok" : reply.code;
};
const text = (answer: unknown) => {
  const reply = fromChatCompletion(answer);
  return reply.ok && reply.output.kind === "text" ? reply.output.text : undefined;
};

describe("an answer whose choice", () => {
  it.each([
    ["stops is a success", chatCompletion("{}"), "ok"],
    ["has no finish reason is a success", chatCompletion("{}", { finish: "" }), "ok"],
    [
      "ended for its length is truncated",
      chatCompletion("{", { finish: "length" }),
      "OUTPUT_TRUNCATED",
    ],
    [
      "was filtered is filtered, with what was written so far",
      chatCompletion("{", { finish: "content_filter" }),
      "CONTENT_FILTERED",
    ],
    [
      "was filtered without a message (Azure) is filtered",
      { choices: [{ finish_reason: "content_filter", index: 0, content_filter_results: {} }] },
      "CONTENT_FILTERED",
    ],
    [
      "is a refusal is refused",
      chatCompletion(null, { message: { refusal: "I can't help with that." } }),
      "REFUSED",
    ],
    ["has an empty refusal is a success", chatCompletion("{}", { message: { refusal: "" } }), "ok"],
    [
      "S10 calls a tool has no call",
      chatCompletion(null, { finish: "tool_calls" }),
      "PROVIDER_UNAVAILABLE",
    ],
    [
      "S10 has text and a call without a name can't be acted on",
      chatCompletion("Let me look", {
        finish: "tool_calls",
        message: { tool_calls: [{ id: "1", function: { arguments: "{}" } }] },
      }),
      "PROVIDER_UNAVAILABLE",
    ],
    [
      "S19 has one part that is no array is its text",
      chatCompletion({ type: "text", text: "{}" }),
      "ok",
    ],
    [
      "S12 has the index 1 and is the only one is the answer",
      { choices: [{ index: 1, message: { content: "{}" }, finish_reason: "stop" }] },
      "ok",
    ],
    ["S12 stands beside an empty error is good", { ...chatCompletion("{}"), error: {} }, "ok"],
    ["S12 stands beside an error of 0 is good", { ...chatCompletion("{}"), error: 0 }, "ok"],
    ["has null as content has none", chatCompletion(null), "OUTPUT_NOT_JSON"],
    ["has a number as content has none", chatCompletion(7), "OUTPUT_NOT_JSON"],
    [
      "holds a refusal among its parts is refused",
      chatCompletion([{ type: "refusal", refusal: "I can't help with that." }]),
      "REFUSED",
    ],
    [
      "ended in an error is no answer",
      chatCompletion("{", { finish: "error" }),
      "PROVIDER_UNAVAILABLE",
    ],
    [
      "holds an error is that error",
      { choices: [{ error: { code: 429, message: "x" }, message: { content: "" } }] },
      "PROVIDER_RATE_LIMITED",
    ],
    ["has no message has no content", { choices: [{ finish_reason: "stop" }] }, "OUTPUT_NOT_JSON"],
    ["has null as message has no content", { choices: [{ message: null }] }, "OUTPUT_NOT_JSON"],
  ])("%s", (_, answer, expected) => {
    expect(codeOf(answer)).toBe(expected);
  });

  it("has content in parts is their text", () => {
    const parts = [
      { type: "text", text: '{"a":' },
      { type: "thinking", thinking: [] },
      null,
      { type: "text", text: "1}" },
    ];
    expect(text(chatCompletion(parts))).toBe('{"a":1}');
  });
});

describe("an answer without choices", () => {
  it.each([
    [null],
    [undefined],
    [0],
    ["<html>"],
    [[]],
    [{}],
    [{ choices: null }],
    [{ choices: {} }],
    [{ choices: [] }],
    [{ choices: [null] }],
    [{ error: { message: "overloaded", code: 503 } }],
    [{ success: false, result: [] }],
  ])("%j is no answer of the provider", (answer) => {
    expect(codeOf(answer)).toBe("PROVIDER_UNAVAILABLE");
  });
});

const usageOf = (usage: unknown) => fromChatCompletion(chatCompletion("{}", { usage })).usage;

describe("an error inside a 200", () => {
  it.each([
    [{ message: "x", code: 502 }, "PROVIDER_UNAVAILABLE"],
    [{ message: "x", code: 429 }, "PROVIDER_RATE_LIMITED"],
    [{ message: "x", code: 401 }, "PROVIDER_AUTH"],
    [{ message: "x", code: 408 }, "PROVIDER_TIMEOUT"],
    [{ message: "x", code: "insufficient_quota" }, "PROVIDER_QUOTA"],
    [{ message: "x", code: null, type: "content_filter" }, "CONTENT_FILTERED"],
    [{ message: "x", code: "server_is_overloaded" }, "PROVIDER_UNAVAILABLE"],
    [{ message: "x", code: 7 }, "PROVIDER_UNAVAILABLE"],
    ["overloaded", "PROVIDER_UNAVAILABLE"],
    [[{ code: 2005 }], "PROVIDER_UNAVAILABLE"],
  ])("%j is %s, whatever stands beside it", (error, expected) => {
    expect(codeOf({ error })).toBe(expected);
    expect(codeOf({ ...chatCompletion("{}"), error })).toBe(expected);
  });

  it("that is empty is none", () => {
    expect(codeOf({ ...chatCompletion("{}"), error: null })).toBe("ok");
    expect(codeOf({ ...chatCompletion("{}"), error: "" })).toBe("ok");
  });
});

describe("usage", () => {
  it("is taken as told", () => {
    expect(usageOf({ prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 })).toEqual({
      inputTokens: 3,
      outputTokens: 4,
    });
  });

  it("counts what the total has beyond its parts as output: reasoning that is charged", () => {
    expect(usageOf({ prompt_tokens: 307, completion_tokens: 26, total_tokens: 588 })).toEqual({
      inputTokens: 307,
      outputTokens: 281,
    });
  });

  it.each([[0], [5], [null], ["900"], [-1], [1e300]])(
    "is not lowered, nor undone, by the total %j",
    (total_tokens) => {
      expect(usageOf({ prompt_tokens: 3, completion_tokens: 4, total_tokens })).toEqual({
        inputTokens: 3,
        outputTokens: 4,
      });
    },
  );

  it.each([
    [undefined],
    [null],
    ["none"],
    [{}],
    [{ prompt_tokens: 3 }],
    [{ prompt_tokens: 3, completion_tokens: null }],
    [{ prompt_tokens: "3", completion_tokens: "4" }],
    [{ prompt_tokens: -3, completion_tokens: 4 }],
    [{ prompt_tokens: 3.5, completion_tokens: 4 }],
    [{ prompt_tokens: Number.NaN, completion_tokens: 4 }],
    [{ prompt_tokens: 3, completion_tokens: 1e300 }],
  ])("%j is not taken, so that the reservation stays", (usage) => {
    const answer = { ...chatCompletion("{}"), usage };
    expect(fromChatCompletion(answer)).toMatchObject({ ok: true, usage: undefined });
  });

  it("is told with a failure too", () => {
    const answer = chatCompletion("{", { finish: "length" });
    expect(fromChatCompletion(answer)).toMatchObject({
      ok: false,
      usage: { inputTokens: 12, outputTokens: 5 },
    });
  });
});

describe("the first choice", () => {
  it.each([0, "0", undefined])("S12 has the index %j, wherever it stands", (index) => {
    const other = { index: 1, message: { content: "other" }, finish_reason: "stop" };
    const first = { index, message: { content: "first" }, finish_reason: "stop" };
    expect(fromChatCompletion({ choices: [other, first] })).toMatchObject({
      ok: true,
      output: { text: "first" },
    });
  });
});

describe("usage", () => {
  it("S2 of two zeros is a placeholder", () => {
    const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    expect(fromChatCompletion({ ...chatCompletion("{}"), usage })).toMatchObject({
      ok: true,
      usage: undefined,
    });
  });
});

const failureKeys = new Set(["ok", "code", "dispatched", "usage", "retryAfterMs"]);

describe("whatever the answer", () => {
  it("there is a reply, and a failure holds none of its text", () => {
    const junk = fc.anything({ withNullPrototype: true, withBigInt: true, withMap: true });
    const shaped = fc.record(
      {
        choices: fc.oneof(
          junk,
          fc.array(
            fc.record(
              {
                finish_reason: fc.oneof(
                  junk,
                  fc.constantFrom("stop", "length", "content_filter", "error", "tool_calls"),
                ),
                message: fc.oneof(
                  junk,
                  fc.record(
                    { content: fc.oneof(junk, fc.string()), refusal: junk },
                    { requiredKeys: [] },
                  ),
                ),
              },
              { requiredKeys: [] },
            ),
          ),
        ),
        usage: junk,
        error: junk,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(junk, shaped), (answer) => {
        const reply = fromChatCompletion(answer);
        return reply.ok
          ? reply.output.kind === "text"
          : Object.keys(reply).every((key) => failureKeys.has(key)) &&
              failureCodes.includes(reply.code);
      }),
    );
  });
});
