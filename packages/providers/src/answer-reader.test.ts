import type { ProviderEvent } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { answerReader } from "./answer-reader.ts";
import { toReply } from "./to-reply.ts";

const frame = (content: string, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;
const end = `${frame("", "stop")}data: [DONE]\n\n`;

/** The reply in a body, the same whatever slices it comes in. */
function replyTo(body: string) {
  const replies = [1, 7, body.length].map((slice) => {
    const events: ProviderEvent[] = [];
    const reader = answerReader(events, "key-1");
    const bytes = Buffer.from(body);
    for (let at = 0; at < bytes.length; at += slice) reader.feed(bytes.subarray(at, at + slice));
    reader.end("ended");
    return toReply(events);
  });
  expect(new Set(replies.map((reply) => JSON.stringify(reply))).size).toBe(1);
  return replies[0];
}

describe("a line of events", () => {
  it.each([
    ["whose field is torn", "ata: " + frame("b").slice("data: ".length)],
    ["without a field", frame("b").slice("data: ".length)],
    ["after what is no field", `garbage ${frame("b")}`],
    ["after a NUL", `\0${frame("b")}`],
    ["that names data and holds none yet", "x data:\n\n"],
  ])("S11 %s is not passed over", (_, torn) => {
    expect(replyTo(frame("a") + torn + end)).toMatchObject({
      ok: false,
      code: "PROVIDER_UNAVAILABLE",
    });
  });

  it.each([
    ": keep-alive\n\n",
    ': {"a": 1}\n\n',
    "id: 1\n",
    "retry: 10\n",
    "retry: soon\n",
    "event: message\n",
    "x-note: hello\n",
    "\0\0\n\n",
    "data\n\n",
    "data:\n\n",
  ])("S11 %j holds nothing", (line) => {
    expect(replyTo(frame("a") + line + end)).toMatchObject({ ok: true, output: { text: "a" } });
  });

  it.each(["event: error\ndata:\n\n", "event: error\ndata\n\n"])(
    "S11 that calls itself an error is one, also where it says no more: %j",
    (event) => {
      expect(replyTo(frame("a") + event + end)).toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
    },
  );

  it("S11 that calls itself an error is one where its body ends", () => {
    expect(replyTo(`${frame("a", "stop")}event: error\ndata: Internal`)).toMatchObject({
      code: "PROVIDER_UNAVAILABLE",
    });
  });
});

describe("white space before an answer", () => {
  const json = JSON.stringify({ choices: [{ message: { content: "a" }, finish_reason: "stop" }] });

  it.each([json, frame("a") + end])("S24 is dropped: %.12s…", (body) => {
    expect(replyTo(` \n${" ".repeat(2000)}\n${body}`)).toMatchObject({
      ok: true,
      output: { text: "a" },
    });
  });

  it("S24 without end is no answer", () => {
    expect(replyTo(" ".repeat(70_000) + json)).toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
  });
});
