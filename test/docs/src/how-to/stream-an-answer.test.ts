import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { staticFlags, type GuardStream } from "@sluice/guard";
import { delta, fakeProvider, type FakeCall } from "@sluice/testkit";
import express from "express";
import { describe, expect, it } from "vitest";
import {
  askAndShow,
  mount,
  readAnswer,
  streamingGuard,
  type Question,
} from "./stream-an-answer.ts";

const flags = () => staticFlags({ help_ai: { enabled: true } });
const question: Question = { text: "Where is the key?" };

const whole = (call: FakeCall<Question>): void =>
  call.emit(delta("In the "), delta("drawer."), { type: "finish" });
const cut = (call: FakeCall<Question>): void => {
  call.emit(delta("In the "));
  call.cut();
};
const unavailable = (call: FakeCall<Question>): void => call.cut();
const leaky = (call: FakeCall<Question>): void =>
  call.emit(delta("Fine. INTERNAL use"), delta(" only: the code is"), { type: "finish" });

function streaming(onCall?: (call: FakeCall<Question>) => void) {
  const provider = fakeProvider<Question>({
    streams: true,
    ...(onCall === undefined ? {} : { onCall }),
  });
  return { provider, guard: streamingGuard(provider, flags()) };
}

describe("the loop of the page", () => {
  it.each([
    ["whole", whole, "In the drawer.", 0],
    ["cut", cut, "In the ", 1],
    ["forbidden", leaky, "Fine. ", 1],
    ["gone before it began", unavailable, "", 1],
  ] as const)("writes an answer that is %s", async (_, onCall, written, marked) => {
    const { guard } = streaming(onCall);
    let text = "";
    let marks = 0;
    const record = await readAnswer(
      guard,
      question,
      "user-1",
      async (piece) => void (text += piece),
      () => void (marks += 1),
    );
    expect(text).toBe(written);
    expect(marks).toBe(marked);
    expect(record.firstContentMs === undefined).toBe(written === "");
    guard.close();
  });
});

/** The types of a stream's events, in their order. */
async function typesOf(stream: GuardStream<unknown, unknown, unknown>): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of stream) types.push(type);
  return types;
}

describe("what the page says of an end that is not the model's", () => {
  it("a kill before the first content gives the safe path's answer", async () => {
    const { guard } = streaming();
    const stream = guard.stream(question, { subject: "user-1" });
    guard.kill();
    expect(await typesOf(stream)).toEqual(["text-delta", "finish"]);
    expect((await stream.head).outcome).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    guard.close();
  });

  it("a kill after it ends the stream with failed", async () => {
    const { guard, provider } = streaming((call) => call.emit(delta("In the ")));
    const stream = guard.stream(question, { subject: "user-1" });
    expect((await stream.head).outcome).toBeUndefined();
    guard.kill();
    expect(await typesOf(stream)).toEqual(["text-delta", "failed"]);
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(await stream.outcome).toMatchObject({ status: "FAILED", failure: { code: "KILLED" } });
    guard.close();
  });

  it("a reader that leaves aborts the upstream, and the outcome is there all the same", async () => {
    const { guard, provider } = streaming((call) => call.emit(delta("In the ")));
    const stream = guard.stream(question, { subject: "user-1" });
    for await (const event of stream) {
      expect(event.type).toBe("text-delta");
      break;
    }
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(await stream.outcome).toMatchObject({ failure: { code: "CLIENT_ABORTED" } });
    expect(guard.inFlight).toBe(0);
    guard.close();
  });
});

async function showOver(onCall: (call: FakeCall<Question>) => void) {
  const { guard } = streaming(onCall);
  const app = express();
  mount(app, guard, () => ({ id: "user-1" }));
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const shown: string[] = [];
  const url = `http://127.0.0.1:${port}/api/help`;
  const end = await askAndShow(url, question.text, (reply) => shown.push(reply));
  server.close();
  guard.close();
  return { shown, ...end };
}

describe("the page's browser", () => {
  it.each([
    ["whole", whole, { shown: ["In the ", "In the drawer."], complete: true, status: 200 }],
    ["cut", cut, { shown: ["In the "], complete: false, status: 200 }],
    ["failed", unavailable, { shown: [], complete: false, status: 502 }],
  ] as const)("shows an answer that is %s", async (_, onCall, expected) => {
    expect(await showOver(onCall)).toEqual(expected);
  });
});
