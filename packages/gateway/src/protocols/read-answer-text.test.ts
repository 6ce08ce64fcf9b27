import { array, assert, constantFrom, json, oneof, property, string, uint8Array } from "fast-check";
import { describe, expect, it } from "vitest";
import { readAnswerText } from "./read-answer-text.ts";

const read = (body: string, contentType?: string) =>
  readAnswerText(new TextEncoder().encode(body), contentType);

const sse = "text/event-stream; charset=utf-8";
const events = (...data: readonly unknown[]) =>
  data
    .map((each) => `data: ${typeof each === "string" ? each : JSON.stringify(each)}\n\n`)
    .join("");

const chunk = (content: string, finish: string | null = null) => ({
  object: "chat.completion.chunk",
  choices: [{ index: 0, delta: { content }, finish_reason: finish }],
});

describe("an answer's text", () => {
  it("of JSON is its value, for the caller to make text of", () => {
    expect(read('{"reply":"Good day."}', "application/json")).toEqual({
      json: { reply: "Good day." },
    });
    expect(read("null", "Application/Problem+JSON;charset=utf-8")).toEqual({ json: null });
  });

  it("of a chat completion is its content", () => {
    const completion = {
      object: "chat.completion",
      choices: [{ message: { role: "assistant", content: "Good day." } }],
    };
    const type = "application/json";
    expect(read(JSON.stringify(completion), type)).toEqual({ text: "Good day.", complete: true });
    expect(read('{"object":"chat.completion","choices":{}}', type)).toEqual({
      text: "",
      complete: false,
    });
  });

  it("of JSON that is cut is what there is, incomplete", () => {
    expect(read('{"reply":"Goo', "application/json")).toEqual({
      text: '{"reply":"Goo',
      complete: false,
    });
  });

  it("of plain text is the text", () => {
    expect(read("Grüezi", "text/plain; charset=utf-8")).toEqual({ text: "Grüezi", complete: true });
  });

  it("without a type is JSON where it looks like it", () => {
    expect(read('{"a":1}')).toEqual({ json: { a: 1 } });
    expect(read("Good day.")).toEqual({ text: "Good day.", complete: true });
  });

  it("of a UI message stream leaves out what a step tried in vain, reasoning and tools", () => {
    const body = events(
      { type: "start" },
      { type: "start-step" },
      { type: "reasoning-delta", id: "r", delta: "Hm." },
      { type: "text-delta", id: "0", delta: "Let me look. " },
      { type: "tool-output-available", toolCallId: "t", output: "rain" },
      { type: "finish-step" },
      { type: "start-step" },
      { type: "text-delta", id: "0", delta: "It sno" },
      { type: "reset-step" },
      { type: "text-delta", id: "0", delta: "It rains." },
      { type: "finish-step" },
      { type: "finish" },
      "[DONE]",
    );
    expect(read(body, sse)).toEqual({ text: "Let me look. It rains.", complete: true });
  });

  it.each([
    ["an error", { type: "error", errorText: "no" }],
    ["an abort", { type: "abort" }],
    ["OpenAI's error", { error: { message: "no" } }],
    ["a failure", { type: "failed", status: "FAILED" }],
  ])("of a stream with %s is incomplete, whatever ends it", (_name, failure) => {
    const body = events(
      { type: "text-delta", text: "Good" },
      failure,
      { type: "finish" },
      "[DONE]",
    );
    expect(read(body, sse)).toEqual({ text: "Good", complete: false });
  });

  it("of a stream that just stops is incomplete", () => {
    expect(read(events(chunk("Good "), chunk("day.")), sse)).toEqual({
      text: "Good day.",
      complete: false,
    });
    expect(read(events(chunk("Good "), chunk("day.", "stop")), sse)).toMatchObject({
      complete: true,
    });
  });

  it("is read of anything at all without throwing", () => {
    const types = constantFrom(undefined, sse, "application/json", "text/plain", "", ";;");
    const data = oneof(string(), json());
    const body = oneof(
      uint8Array(),
      array(data).map((all) => new TextEncoder().encode(events(...all))),
    );
    assert(
      property(body, types, (bytes, type) => {
        const answer = readAnswerText(bytes, type);
        expect("json" in answer || typeof answer.text === "string").toBe(true);
      }),
    );
  });
});
