import { failureCodes } from "@sluice/contract";
import { DefaultChatTransport, readUIMessageStream, type UIMessage } from "ai";
import { describe, expect, it } from "vitest";
import type { WireAnswer } from "../protocol.ts";
import {
  dataOf,
  encoderOf,
  failed,
  fellBack,
  problemOf,
  rejected,
  streamOf,
  stubbed,
  succeeded,
  toResponse,
  usage,
  wholeOf,
} from "./outcomes-for-tests.ts";
import { uiMessageStreamProtocol } from "./ui-message-stream.ts";

const question: UIMessage = {
  id: "u1",
  role: "user",
  parts: [{ type: "text", text: "Hello?" }],
};

const encoder = () => encoderOf(uiMessageStreamProtocol, { messages: [question] });

/** What `useChat` would show: by the transport that it uses, and the message that it builds. */
async function readByUseChat(answer: WireAnswer, pieceBytes?: number) {
  const transport = new DefaultChatTransport({
    api: "http://localhost/api/chat",
    fetch: () => Promise.resolve(toResponse(answer, pieceBytes)),
  });
  const stream = await transport.sendMessages({
    chatId: "c",
    messages: [question],
    trigger: "submit-message",
    messageId: undefined,
    abortSignal: undefined,
  });
  const errors: string[] = [];
  let message: UIMessage | undefined;
  const onError = (error: unknown) => errors.push((error as Error).message);
  for await (const state of readUIMessageStream({ stream, onError })) message = state;
  return { message, errors };
}

const types = (answer: WireAnswer) =>
  dataOf(answer).map((data) =>
    typeof data === "string" ? data : (data as { readonly type: string }).type,
  );

const done = ["finish-step", "finish", "[DONE]"];

const call = (id: string) => ({ type: "tool-call", id, name: "x", input: {} }) as const;
const result = (id: string) => ({ type: "tool-result", id, name: "x", output: id }) as const;

describe("a UI message stream", () => {
  it("brings the AI SDK's client the text, and ends with finish and [DONE]", async () => {
    const answer = streamOf(encoder(), [
      { type: "text-delta", text: "Good " },
      { type: "text-delta", text: "day." },
      { type: "usage", usage },
      { type: "finish", outcome: succeeded("Good day.") },
    ]);
    expect(answer.headers).toEqual({ "x-vercel-ai-ui-message-stream": "v1" });
    expect(types(answer)).toEqual([
      "start",
      "start-step",
      "text-start",
      "text-delta",
      "text-delta",
      "text-end",
      ...done,
    ]);
    const { message, errors } = await readByUseChat(answer, 7);
    expect(errors).toEqual([]);
    expect(message).toMatchObject({
      id: "msg_d1",
      role: "assistant",
      parts: [{ type: "step-start" }, { type: "text", text: "Good day.", state: "done" }],
    });
  });

  it("shows reasoning apart from the text", async () => {
    const { message, errors } = await readByUseChat(
      streamOf(encoder(), [
        { type: "reasoning-delta", text: "Hm" },
        { type: "reasoning-delta", text: "m." },
        { type: "text-delta", text: "Yes." },
        { type: "finish", outcome: succeeded("Yes.") },
      ]),
    );
    expect(errors).toEqual([]);
    expect(message?.parts).toMatchObject([
      { type: "step-start" },
      { type: "reasoning", text: "Hmm.", state: "done" },
      { type: "text", text: "Yes.", state: "done" },
    ]);
  });

  it("tells calls of tools with their results, and what follows as another step", async () => {
    const answer = streamOf(encoder(), [
      { type: "text-delta", text: "Let me look." },
      { type: "tool-call", id: "a", name: "weather", input: { city: "Bern" } },
      { type: "tool-call", id: "b", name: "weather", input: { city: "Chur" } },
      { type: "tool-result", id: "a", name: "weather", output: "rain" },
      { type: "tool-result", id: "b", name: "weather", output: "sun" },
      { type: "text-delta", text: "It rains in Bern." },
      { type: "finish", outcome: succeeded("Let me look.It rains in Bern.") },
    ]);
    expect(types(answer).filter((type) => type === "start-step")).toHaveLength(2);
    const { message, errors } = await readByUseChat(answer);
    expect(errors).toEqual([]);
    const input = { city: "Bern" };
    const state = "output-available";
    expect(message?.parts).toMatchObject([
      { type: "step-start" },
      { type: "text", text: "Let me look." },
      { type: "tool-weather", toolCallId: "a", state, input, output: "rain" },
      { type: "tool-weather", toolCallId: "b", state, output: "sun" },
      { type: "step-start" },
      { type: "text", text: "It rains in Bern.", state: "done" },
    ]);
  });

  it("keeps calls that run at the same time in one step", async () => {
    const end = { type: "finish", outcome: succeeded("") } as const;
    const { message } = await readByUseChat(
      streamOf(encoder(), [
        call("a"),
        call("b"),
        result("b"),
        call("c"),
        result("c"),
        result("a"),
        end,
      ]),
    );
    expect(message?.parts).toMatchObject([
      { type: "step-start" },
      { toolCallId: "a", output: "a" },
      { toolCallId: "b", output: "b" },
      { toolCallId: "c", output: "c" },
    ]);
  });

  it("ends a tool that has no result, and drops a result of no call", async () => {
    const { message, errors } = await readByUseChat(
      streamOf(encoder(), [
        { type: "tool-result", id: "ghost", name: "weather", output: "rain" },
        { type: "tool-call", id: "__proto__", name: "weather", input: {} },
        { type: "failed", outcome: failed("KILLED") },
      ]),
    );
    expect(errors).toHaveLength(1);
    expect(message?.parts).toMatchObject([
      { type: "step-start" },
      { type: "tool-weather", toolCallId: "__proto__", state: "output-error" },
    ]);
  });

  it.each(failureCodes)("cut by %s ends its parts, says so, and finishes", async (code) => {
    const answer = streamOf(encoder(), [
      { type: "text-delta", text: "Good" },
      { type: "failed", outcome: failed(code) },
    ]);
    const opened = ["start", "start-step", "text-start", "text-delta", "text-end"];
    expect(types(answer)).toEqual([...opened, "error", ...done]);
    expect(dataOf(answer)).toContainEqual({ type: "finish", finishReason: "error" });
    const { errors } = await readByUseChat(answer);
    expect(errors).toHaveLength(1);
    // A sentence, and neither a code nor anything of the outcome's value.
    expect(errors[0]).toMatch(/^[A-Z][^_]+\.$/);
    expect(answer.body).not.toMatch(new RegExp(`s3cret|${code}`));
  });

  it("carries what front ends are told, at the beginning and at the end", () => {
    const meta = { path: "ai", decision: "d1", fallback_used: false } as const;
    const writer = encoder();
    const outcome = succeeded("");
    const { decision } = outcome;
    expect(writer.begin({ decision }, meta)).toContain(
      `{"type":"start","messageId":"msg_d1","messageMetadata":${JSON.stringify(meta)}}`,
    );
    expect(writer.event({ type: "finish", outcome }, meta)).toContain(
      `{"type":"finish","finishReason":"stop","messageMetadata":${JSON.stringify(meta)}}`,
    );
  });
});

describe("an answer to useChat that is there as a whole", () => {
  it.each([
    ["of the safe path", stubbed("Ask us by mail.")],
    ["of the safe path after a failure", fellBack("Ask us by mail.")],
    ["of the model", succeeded("Ask us by mail.")],
  ])("%s is a complete stream with its text", async (_name, outcome) => {
    const answer = wholeOf(encoder(), outcome);
    expect(answer).toMatchObject({
      status: 200,
      headers: { "x-vercel-ai-ui-message-stream": "v1", "cache-control": "no-store" },
    });
    const { message, errors } = await readByUseChat(answer);
    expect(errors).toEqual([]);
    expect(message?.parts).toMatchObject([
      { type: "step-start" },
      { type: "text", text: "Ask us by mail.", state: "done" },
    ]);
    expect(types(answer).slice(-3)).toEqual(done);
  });

  it("failed before its first content is a stream with an error, which the client shows", async () => {
    const answer = wholeOf(encoder(), failed("PROVIDER_TIMEOUT"));
    expect(answer.status).toBe(200);
    expect(types(answer)).toEqual(["start", "start-step", "error", ...done]);
    const { errors } = await readByUseChat(answer);
    expect(errors).toEqual(["The answer took too long. Try again."]);
  });

  it.each([
    ["USER_IN_FLIGHT", 2100, 429, /being written for you\. Try again in 3 seconds\.$/],
    ["MESSAGE_RATE", 1000, 429, /Try again in 1 second\.$/],
    ["BUDGET_CALLS", 36_000_000, 429, /limit for today is reached\. Try again in 10 hours\.$/],
    ["STORE_UNAVAILABLE", 5000, 503, /can't take requests.*Try again in 5 seconds\.$/],
  ] as const)(
    "rejected for %s is a sentence, with Retry-After",
    async (reason, ms, status, said) => {
      const answer = wholeOf(encoder(), rejected(reason, ms));
      expect(answer).toMatchObject({
        status,
        headers: { "retry-after": String(Math.ceil(ms / 1000)) },
        contentType: "text/plain; charset=utf-8",
      });
      // What useChat has as `error.message`.
      await expect(readByUseChat(answer)).rejects.toThrow(said);
    },
  );

  it("to a wrong body is a sentence with the path", async () => {
    const answer = problemOf(uiMessageStreamProtocol, { messages: [] });
    expect(answer.status).toBe(400);
    await expect(readByUseChat(answer)).rejects.toThrow(
      "The request body does not have the expected form: /messages: expected at least one message.",
    );
  });

  it("to a request while the gateway drains says when to come back", () => {
    const problem = { type: "about:blank", title: "Shutting down", status: 503 };
    expect(encoder().problem(problem, { "retry-after": "1" })).toEqual({
      status: 503,
      headers: { "retry-after": "1" },
      contentType: "text/plain; charset=utf-8",
      body: "The service can't take requests at the moment. Try again in 1 second.",
    });
  });
});
