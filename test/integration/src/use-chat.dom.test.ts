import { createRequire } from "node:module";
import { chatGateway, drainGateways } from "@sluice/next";
import { createUIMessageStream, createUIMessageStreamResponse } from "ai";
import { describe, expect, it } from "vitest";
import {
  enforced,
  expressHost,
  fetchHost,
  openChatServer,
  type ChatHost,
  type ChatSetting,
  type LegacyChat,
} from "./chat-hosts-for-tests.ts";
import { openChatApp } from "./held-chat-app-for-tests.ts";
import { fetchListener, serve } from "./serve-fetch-handler.ts";
import { openChat } from "./use-chat-for-tests.ts";

// Next's own class; what it is made of belongs to the package of that host.
const requireOfNext = createRequire(
  new URL("../../../packages/next/package.json", import.meta.url),
);
type NextPost = ReturnType<typeof chatGateway>;
type NextRequest = Parameters<NextPost>[0];
const { NextRequest: NextRequestClass } = requireOfNext("next/server.js") as {
  readonly NextRequest: new (request: Request) => NextRequest;
};

const nextHost: ChatHost = async ({ options }, legacy) => {
  // Without Next around it there is no request whose end `after` could wait for.
  const POST = chatGateway({ ...options, legacy, waitUntil: () => undefined });
  const url = await serve(fetchListener((request) => POST(new NextRequestClass(request))));
  return { url, drain: drainGateways };
};

/** As applications of the AI SDK have it. */
const legacy: LegacyChat = async (request) => {
  const { messages } = (await request.json()) as {
    readonly messages: readonly { readonly parts: readonly { readonly text?: string }[] }[];
  };
  const asked = messages
    .at(-1)
    ?.parts.map(({ text }) => text ?? "")
    .join("");
  const stream = createUIMessageStream({
    execute({ writer }) {
      writer.write({ type: "start" });
      writer.write({ type: "text-start", id: "1" });
      writer.write({ type: "text-delta", id: "1", delta: `The old answer to ${asked}` });
      writer.write({ type: "text-end", id: "1" });
      writer.write({ type: "finish" });
    },
  });
  return createUIMessageStreamResponse({ stream });
};

const hosts = { Express: expressHost, Fetch: fetchHost, "Next.js": nextHost };

const wholeEnd = [
  'data: {"type":"finish-step"}',
  'data: {"type":"finish","finishReason":"stop"}',
  "data: [DONE]",
  "",
].join("\n\n");

/** Every failure of a stream ends so. */
const failedEnd = (sentence: string): string =>
  [
    `data: {"type":"error","errorText":"${sentence}"}`,
    'data: {"type":"finish-step"}',
    'data: {"type":"finish","finishReason":"error"}',
    "data: [DONE]",
    "",
  ].join("\n\n");

describe.each(Object.entries(hosts))("useChat on %s", (_name, host) => {
  const open = async (setting: ChatSetting = {}) => {
    const server = await openChatServer(host, legacy, setting);
    const page = () => openChat(`${server.url}/api/chat`);
    return { ...server, page, chat: page() };
  };

  /** A chat whose answer has begun, with `one `. */
  const openMidway = async (setting: ChatSetting = {}) => {
    const opened = await open(setting);
    const sent = opened.chat.send("Hello");
    const call = await opened.upstream.next();
    call.say("one ");
    await opened.chat.becomes({
      status: "streaming",
      messages: ["user: Hello", "assistant: one "],
    });
    return { ...opened, sent, call };
  };

  it("shows an answer, and sends it along with the next question", async () => {
    const { chat, upstream, idle } = await open();
    const sent = chat.send("Hello");
    const call = await upstream.next();
    call.say("Hi ", "there.");
    call.finish();
    await sent;
    await chat.becomes({ status: "ready", messages: ["user: Hello", "assistant: Hi there."] });
    const again = chat.send("And you?");
    const second = await upstream.next();
    expect(second.asked.messages).toEqual([
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Hi there." },
      { role: "user", content: "And you?" },
    ]);
    second.say("Fine.");
    second.finish();
    await again;
    await chat.becomes({
      status: "ready",
      error: undefined,
      messages: ["user: Hello", "assistant: Hi there.", "user: And you?", "assistant: Fine."],
    });
    for (const { status, headers, text } of chat.wires) {
      expect(status).toBe(200);
      expect(headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
      expect(headers.get("x-vercel-ai-ui-message-stream")).toBe("v1");
      expect(headers.get("sluice-path")).toBe("ai");
      expect(await text).toMatch(/^data: \{"type":"start","messageId":"msg_[^"]+"\}\n\n/);
      expect(await text).toSatisfy((wire: string) => wire.endsWith(wholeEnd));
    }
    await idle();
  });

  it("shows a stream as it grows: submitted, streaming, ready", async () => {
    const { chat, call, sent } = await openMidway();
    call.say("two ");
    await chat.becomes({ status: "streaming", messages: ["user: Hello", "assistant: one two "] });
    call.say("three");
    await chat.becomes({ messages: ["user: Hello", "assistant: one two three"] });
    call.finish();
    await sent;
    await chat.becomes({ status: "ready", error: undefined });
    expect(chat.statuses()).toEqual(["ready", "submitted", "streaming", "ready"]);
    expect(await chat.wires[0]?.text).toSatisfy((wire: string) => wire.endsWith(wholeEnd));
  });

  it("waits as submitted for a slow first word, and streams then", async () => {
    const { chat, upstream } = await open();
    const sent = chat.send("Hello");
    const call = await upstream.next();
    call.think("hm");
    await chat.becomes({ status: "submitted", messages: ["user: Hello"] });
    // What the gateway said before the first content would have made a message of it.
    expect(chat.wires).toEqual([]);
    call.say("At last.");
    await chat.becomes({ status: "streaming", messages: ["user: Hello", "assistant: At last."] });
    call.finish();
    await sent;
    await chat.becomes({ status: "ready", error: undefined });
  });

  it("I4 stops by its button: the upstream call ends, the hold goes back, and the text stays", async () => {
    const admission = { userInFlight: { limit: 1 } };
    const { chat, call, sent, idle, upstream, outcomes } = await openMidway({
      admission,
      switches: enforced,
    });
    await chat.stop();
    await sent;
    expect(await call.left).toBe(true);
    await chat.becomes({
      status: "ready",
      error: undefined,
      messages: ["user: Hello", "assistant: one "],
    });
    await idle();
    expect(outcomes).toMatchObject([{ status: "FAILED", failure: { code: "CLIENT_ABORTED" } }]);

    const again = chat.send("Go on");
    const next = await upstream.next();
    next.say("Yes.");
    next.finish();
    await again;
    await chat.becomes({ status: "ready", error: undefined });
    expect(chat.shown().messages.slice(2)).toEqual(["user: Go on", "assistant: Yes."]);
  });

  it("I4 stops before the first word as well", async () => {
    const { chat, upstream, idle } = await open();
    const sent = chat.send("Hello");
    const call = await upstream.next();
    await chat.becomes({ status: "submitted" });
    await chat.stop();
    await sent;
    expect(await call.left).toBe(true);
    await chat.becomes({ status: "ready", error: undefined, messages: ["user: Hello"] });
    await idle();
  });

  it("I13 is told in a sentence of a kill in mid-stream", async () => {
    const { chat, call, sent, guard, idle } = await openMidway();
    guard.kill();
    await sent;
    expect(await call.left).toBe(true);
    const sentence =
      "This feature was turned off while the answer was being written, so it is incomplete.";
    await chat.becomes({
      status: "error",
      error: sentence,
      messages: ["user: Hello", "assistant: one "],
    });
    expect(await chat.wires[0]?.text).toSatisfy((wire: string) =>
      wire.endsWith(failedEnd(sentence)),
    );
    await idle();
  });

  it("gets the legacy handler's answer where a kill comes before the first word", async () => {
    const { chat, upstream, guard, idle } = await open();
    const sent = chat.send("Hello");
    const call = await upstream.next();
    guard.kill();
    await sent;
    expect(await call.left).toBe(true);
    await chat.becomes({
      status: "ready",
      error: undefined,
      messages: ["user: Hello", "assistant: The old answer to Hello"],
    });
    expect(chat.wires[0]?.headers.get("sluice-path")).toBe("legacy");
    expect(await chat.wires[0]?.text).toMatch(/"type":"finish"[^\n]*\n\ndata: \[DONE\]\n\n$/);
    await idle();
  });

  it("is told by a 429 why, and when to try again", async () => {
    const admission = { userInFlight: { limit: 1 } };
    const { chat, call, sent, page, upstream } = await openMidway({
      admission,
      switches: enforced,
    });
    const other = page();
    await other.send("Me too");
    await other.becomes({ status: "error", messages: ["user: Me too"] });
    expect(other.shown().error).toMatch(
      /^Another answer is still being written for you\. Try again in \d+ seconds?\.$/,
    );
    expect(other.wires[0]?.status).toBe(429);
    expect(other.wires[0]?.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(await other.wires[0]?.text).toBe(other.shown().error);
    expect(upstream.calls).toBe(1);

    call.finish();
    await sent;
    await chat.becomes({ status: "ready", messages: ["user: Hello", "assistant: one "] });
    const again = other.regenerate();
    const second = await upstream.next();
    second.say("Now you.");
    second.finish();
    await again;
    await other.becomes({
      status: "ready",
      error: undefined,
      messages: ["user: Me too", "assistant: Now you."],
    });
  });

  it("is told by a 429 of too many messages", async () => {
    const admission = { messageRate: { count: 1, perMs: 60_000 } };
    const { chat, call, sent } = await openMidway({ admission, switches: enforced });
    call.finish();
    await sent;
    await chat.send("More");
    await chat.becomes({ status: "error" });
    expect(chat.shown().error).toMatch(/^Too many messages\. Try again in \d+ seconds\.$/);
    expect(chat.wires[1]?.status).toBe(429);
  });

  it("I13 goes on to its end while the server drains, which lets nobody else in", async () => {
    const { chat, call, sent, page, drain } = await openMidway();
    const drained = drain({ deadlineMs: 60_000 });
    const late = page();
    await late.send("Me too");
    await late.becomes({ status: "error", messages: ["user: Me too"] });
    expect(late.shown().error).toMatch(/\. Try again in 1 second\.$/);
    expect(late.wires[0]?.status).toBe(503);
    call.say("two");
    call.finish();
    await sent;
    await chat.becomes({
      status: "ready",
      error: undefined,
      messages: ["user: Hello", "assistant: one two"],
    });
    await drained;
  });

  it("I13 is ended with a sentence at the deadline of a drain", async () => {
    const { chat, call, sent, drain } = await openMidway();
    await drain({ deadlineMs: 0 });
    await sent;
    expect(await call.left).toBe(true);
    await chat.becomes({ status: "error", messages: ["user: Hello", "assistant: one "] });
    expect(chat.shown().error).toMatch(/ is incomplete\.$/);
    expect(await chat.wires[0]?.text).toMatch(/"finishReason":"error"\}\n\ndata: \[DONE\]\n\n$/);
  });

  it.each([
    [
      "a cut of the upstream",
      "cut",
      "The connection to the AI service broke, so this answer is incomplete. Try again.",
    ],
    [
      "an error event of the upstream",
      "errorEvent",
      "The AI service could not be reached. Try again.",
    ],
  ] as const)(
    "is told of %s in mid-stream, and may try again",
    async (_what, failure, sentence) => {
      const { chat, call, sent, upstream, idle } = await openMidway();
      call[failure]();
      await sent;
      await chat.becomes({
        status: "error",
        error: sentence,
        messages: ["user: Hello", "assistant: one "],
      });
      expect(await chat.wires[0]?.text).toSatisfy((wire: string) =>
        wire.endsWith(failedEnd(sentence)),
      );
      expect(await chat.wires[0]?.text).not.toContain("the upstream's words");

      const again = chat.regenerate();
      const second = await upstream.next();
      second.say("All of it.");
      second.finish();
      await again;
      await chat.becomes({
        status: "ready",
        error: undefined,
        messages: ["user: Hello", "assistant: All of it."],
      });
      await idle();
    },
  );

  it.each([
    [429, "The AI service is busy at the moment. Try again in a minute."],
    [401, "The AI service can't be used at the moment."],
    [500, "The AI service could not be reached. Try again."],
  ])("is told of an upstream that answers %i", async (status, sentence) => {
    const { chat, upstream, idle } = await open();
    const sent = chat.send("Hello");
    (await upstream.next()).refuse(status);
    await sent;
    await chat.becomes({ status: "error", error: sentence });
    expect(await chat.wires[0]?.text).toSatisfy((wire: string) =>
      wire.endsWith(failedEnd(sentence)),
    );
    await idle();
  });

  it("shows a tool's call and its result, and the answer after it", async () => {
    const { chat, upstream, idle } = await open();
    const sent = chat.send("When are you open?");
    const call = await upstream.next();
    call.say("Let me look.");
    call.callTool("call_1", "opening_hours", { day: "Monday" });
    const second = await upstream.next();
    second.say("At nine.");
    second.finish();
    await sent;
    await chat.becomes({ status: "ready", error: undefined });
    expect(chat.messages()[1]?.parts).toMatchObject([
      { type: "step-start" },
      { type: "text", text: "Let me look.", state: "done" },
      {
        type: "tool-opening_hours",
        toolCallId: "call_1",
        state: "output-available",
        input: { day: "Monday" },
        output: '{"day":"Monday","opens":"9:00"}',
      },
      { type: "step-start" },
      { type: "text", text: "At nine.", state: "done" },
    ]);
    expect(await chat.wires[0]?.text).toSatisfy((wire: string) => wire.endsWith(wholeEnd));

    // The parts of tools come back with the next question, and are none of the model's business.
    const again = chat.send("Thanks");
    const third = await upstream.next();
    expect(third.asked.messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
    third.say("Bye.");
    third.finish();
    await again;
    await chat.becomes({ status: "ready", error: undefined });
    await idle();
  });

  it("ends the part of a tool, too, where the answer fails after its call", async () => {
    const { chat, upstream } = await open();
    const sent = chat.send("When are you open?");
    const call = await upstream.next();
    call.say("Let me look.");
    call.callTool("call_1", "opening_hours", { day: "Monday" });
    (await upstream.next()).cut();
    await sent;
    await chat.becomes({ status: "error" });
    expect(chat.messages()[1]?.parts.at(-1)).toMatchObject({ state: "output-available" });
    expect(await chat.wires[0]?.text).toMatch(/"finishReason":"error"\}\n\ndata: \[DONE\]\n\n$/);
  });

  it("shows what the model thinks, where the guard lets it out", async () => {
    const { chat, upstream } = await open({ reasoning: true });
    const sent = chat.send("Hello");
    const call = await upstream.next();
    call.think("A greeting.");
    call.say("Hi.");
    call.finish();
    await sent;
    await chat.becomes({ status: "ready", error: undefined });
    expect(chat.messages()[1]?.parts).toMatchObject([
      { type: "step-start" },
      { type: "reasoning", text: "A greeting.", state: "done" },
      { type: "text", text: "Hi.", state: "done" },
    ]);
  });

  it("hands the front end who answered, as the message's metadata", async () => {
    const { chat, call, sent } = await openMidway({ meta: true });
    call.finish();
    await sent;
    await chat.becomes({ status: "ready", error: undefined });
    expect(chat.messages()[1]?.metadata).toEqual({
      path: "ai",
      decision: chat.wires[0]?.headers.get("sluice-decision"),
      selected_provider: "openai",
      fallback_used: false,
    });
    expect(await chat.wires[0]?.text).toMatch(
      /"type":"finish"[^\n]*"messageMetadata"[^\n]*\n\ndata: \[DONE\]\n\n$/,
    );
  });

  it("shows any text as it is", async () => {
    const { chat, upstream } = await open();
    const text = 'a\n\ndata: [DONE]\r\n\r\n{"type":"finish"} \u2028 \u0000 😀 </script>';
    const sent = chat.send("Hello");
    const call = await upstream.next();
    call.say(...(text.match(/[\s\S]{1,5}/gu) ?? []));
    call.finish();
    await sent;
    await chat.becomes({ status: "ready", error: undefined });
    expect(chat.shown().messages).toEqual(["user: Hello", `assistant: ${text}`]);
  });
});

const limits = "FF_ADMISSION_ENFORCE=true\nADMISSION_ENFORCE_USER_INFLIGHT=true\n";

const openOnApp = async (flags?: string) => {
  const app = await openChatApp(flags);
  const cookie = await app.visitor();
  const page = () => openChat(`${app.url}/api/chat`, { cookie });
  return { ...app, page, chat: page() };
};

describe("useChat on the chat app", { timeout: 60_000 }, () => {
  it("shows a stream with a tool's result, stops by its button, and is told of a cut and of a 429", async () => {
    const { chat, page, upstream, idle } = await openOnApp(limits);
    const sent = chat.send("When are you open?");
    const call = await upstream.next();
    call.callTool("call_1", "opening_hours", { day: "monday" });
    const second = await upstream.next();
    second.say("At ");
    const question = "user: When are you open?";
    await chat.becomes({ status: "streaming", messages: [question, "assistant: At "] });
    second.say("nine.");
    second.finish();
    await sent;
    const before = [question, "assistant: At nine.", "user: And then?", "assistant: We "];
    await chat.becomes({ status: "ready", error: undefined, messages: before.slice(0, 2) });
    expect(chat.messages()[1]?.parts).toContainEqual(
      expect.objectContaining({ type: "tool-opening_hours", state: "output-available" }),
    );
    expect(await chat.wires[0]?.text).toSatisfy((wire: string) => wire.endsWith(wholeEnd));

    const again = chat.send("And then?");
    const third = await upstream.next();
    third.say("We ");
    await chat.becomes({ status: "streaming", messages: before });
    await chat.stop();
    await again;
    expect(await third.left).toBe(true);
    await chat.becomes({ status: "ready", error: undefined, messages: before });
    await idle();

    const broken = page();
    const cutSoon = broken.send("Hello");
    const fourth = await upstream.next();
    fourth.say("one ");
    await broken.becomes({ status: "streaming", messages: ["user: Hello", "assistant: one "] });
    fourth.cut();
    await cutSoon;
    await broken.becomes({ status: "error", messages: ["user: Hello", "assistant: one "] });
    const sentence = broken.shown().error ?? "";
    expect(sentence).toMatch(/^The connection to the AI service broke/);
    expect(await broken.wires[0]?.text).toSatisfy((wire: string) =>
      wire.endsWith(failedEnd(sentence)),
    );
    await idle();

    const others = Array.from({ length: 4 }, () => page().send("Hello"));
    const calls = await Promise.all(others.map(() => upstream.next()));
    const refused = page();
    await refused.send("Me too");
    await refused.becomes({ status: "error", messages: ["user: Me too"] });
    expect(refused.shown().error).toMatch(/ Try again in \d+ seconds?\.$/);
    expect(refused.wires[0]?.status).toBe(429);
    for (const other of calls) {
      other.say("Hi.");
      other.finish();
    }
    await Promise.all(others);
    await idle();
  });

  it("I13 ends by the kill in the flags file: in mid-stream with a sentence, before it by the legacy handler", async () => {
    const { chat, page, upstream, kill, idle } = await openOnApp();
    const sent = chat.send("Hello");
    const call = await upstream.next();
    call.say("one ");
    await chat.becomes({ status: "streaming", messages: ["user: Hello", "assistant: one "] });
    const waiting = page();
    const asked = waiting.send("Hello");
    const second = await upstream.next();
    await kill();
    await Promise.all([sent, asked]);
    expect([await call.left, await second.left]).toEqual([true, true]);
    await chat.becomes({ status: "error", messages: ["user: Hello", "assistant: one "] });
    expect(await chat.wires[0]?.text).toSatisfy((wire: string) =>
      wire.endsWith(failedEnd(chat.shown().error ?? "")),
    );
    await waiting.becomes({ status: "ready", error: undefined });
    expect(waiting.shown().messages[1]).toMatch(/^assistant: Hello! Ask about billing/);
    expect(await waiting.wires[0]?.text).toMatch(/"type":"finish"[^\n]*\n\ndata: \[DONE\]\n\n$/);
    await idle();
  });
});
