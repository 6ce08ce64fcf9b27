import { toHttpOutcome } from "@sluice/guard";
import { describe, expect, it } from "vitest";
import { jsonProtocol } from "./json.ts";
import {
  context,
  dataOf,
  encoderOf,
  failed,
  rejected,
  streamOf,
  stubbed,
  succeeded,
  usage,
  wholeOf,
} from "./outcomes-for-tests.ts";

const whole = encoderOf(jsonProtocol, {});
const streaming = () => encoderOf(jsonProtocol, {}, "text/event-stream");
const meta = { path: "ai", decision: "d1", fallback_used: false } as const;

describe("the JSON protocol", () => {
  it("hands the body on as it is", () => {
    const body: unknown = JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}');
    const read = jsonProtocol.read(body, undefined, context);
    expect(read).toMatchObject({ streams: false });
    expect("input" in read && read.input).toBe(body);
  });

  it("streams to whom accepts it", () => {
    expect(jsonProtocol.read({}, "text/event-stream", context)).toMatchObject({ streams: true });
  });

  it.each([
    succeeded("a"),
    stubbed("a"),
    failed("PROVIDER_TIMEOUT"),
    rejected("MESSAGE_RATE", 1000),
  ])("answers $status as HTTP shows the outcome", (outcome) => {
    const http = toHttpOutcome(outcome);
    const answer = wholeOf(whole, outcome);
    expect(answer).toMatchObject({
      status: http.status,
      headers: http.headers,
      contentType: `${http.contentType}; charset=utf-8`,
    });
    expect(JSON.parse(answer.body)).toEqual(http.body);
  });

  it("may tell of the answer beside its value, unless that has such a member or is no object", () => {
    const outcome = succeeded("a");
    const bodyOf = (value: unknown): unknown =>
      JSON.parse(whole.whole(outcome, { ...toHttpOutcome(outcome), body: value }, meta).body);
    expect(bodyOf({ status: "OK" })).toEqual({ status: "OK", meta });
    expect(bodyOf({ status: "OK", meta: 5 })).toEqual({ status: "OK", meta: 5 });
    expect(bodyOf(["a"])).toEqual(["a"]);
  });

  it("shows problems as problem details", () => {
    const problem = { type: "about:blank", title: "No", status: 415 };
    expect(whole.problem(problem, { a: "b" })).toEqual({
      status: 415,
      headers: { a: "b" },
      contentType: "application/problem+json; charset=utf-8",
      body: JSON.stringify(problem),
    });
  });

  it("streams each event as a line of JSON, and nothing after the terminal one", () => {
    const outcome = succeeded("Good day.");
    const answer = streamOf(streaming(), [
      { type: "text-delta", text: "Good day." },
      { type: "reasoning-delta", text: "Hm." },
      { type: "tool-result", id: "a", name: "weather", output: "rain" },
      { type: "usage", usage },
      { type: "finish", outcome },
      { type: "text-delta", text: "late" },
      { type: "failed", outcome: failed() },
    ]);
    expect(dataOf(answer)).toEqual([
      { type: "text-delta", text: "Good day." },
      { type: "reasoning-delta", text: "Hm." },
      { type: "tool-result", id: "a", name: "weather", output: "rain" },
      { type: "usage", input_tokens: 3, output_tokens: 4 },
      {
        type: "finish",
        status: "SUCCEEDED",
        path: "ai",
        value: { status: "OK", text: "Good day." },
      },
    ]);
  });

  it("tells of the answer in the terminal event", () => {
    const event = streaming().event({ type: "failed", outcome: rejected("TRIPPED", 1) }, meta);
    const told = { type: "failed", status: "REJECTED", path: "none", reason: "TRIPPED", meta };
    expect(event).toBe(`data: ${JSON.stringify(told)}\n\n`);
  });

  it("answers a client that streams with a stream where there is an answer, else with its status", () => {
    const answer = wholeOf(streaming(), stubbed("Ask us by mail."));
    expect(answer).toMatchObject({ status: 200, contentType: "text/event-stream; charset=utf-8" });
    expect(dataOf(answer)).toMatchObject([
      { type: "text-delta", text: "Ask us by mail." },
      { type: "finish", status: "STUBBED", path: "stub" },
    ]);
    expect(wholeOf(streaming(), failed("STREAM_STALLED"))).toMatchObject({
      status: 504,
      contentType: "application/json; charset=utf-8",
    });
  });
});
