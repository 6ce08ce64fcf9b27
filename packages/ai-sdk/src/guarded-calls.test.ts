import type { LanguageModelV4, LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { systemClock } from "@sluice/guard";
import { describe, expect, it, vi } from "vitest";
import { generateText } from "ai";
import { MockLanguageModelV4, convertArrayToReadableStream } from "ai/test";
import {
  answering,
  apiError,
  errorFinish,
  failedPart,
  guarded,
  params,
  partsOf,
  prompt,
  read,
  sdkStream,
  streaming,
  throwingModel,
} from "../scripts/guarded.ts";
import { finishPart, resultOf, textParts, wholeParts } from "../scripts/model-answers.ts";
import { openStream, silentModel } from "../scripts/open-stream.ts";
import { SluiceDeniedError } from "./sluice-denied-error.ts";
import { SluiceFailedError } from "./sluice-failed-error.ts";

/** What a call was thrown. */
async function errorOf(call: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    return error;
  }
}

describe("an upstream that fails before any output", () => {
  it("is tried again by the SDK alone, and each try is decided", async () => {
    let calls = 0;
    const fail = async <T>(then: () => T): Promise<T> => {
      calls += 1;
      if (calls % 3 !== 0) throw apiError(503);
      return then();
    };
    const bare = new MockLanguageModelV4({
      doGenerate: () => fail(() => resultOf([{ type: "text", text: "an answer" }])),
      doStream: () => fail(() => ({ stream: convertArrayToReadableStream([...wholeParts]) })),
    });
    const { model, told } = guarded(bare);
    expect((await generateText({ model, prompt, maxRetries: 2 })).text).toBe("an answer");
    expect((await sdkStream(model, { maxRetries: 2 })).text).toBe("an answer");
    const { decisions, outcomes } = told();
    expect(calls).toBe(6);
    expect(decisions).toHaveLength(6);
    const expected = ["PROVIDER_UNAVAILABLE", "PROVIDER_UNAVAILABLE", undefined];
    expect(outcomes.map((event) => event.failure_code)).toStrictEqual([...expected, ...expected]);
  });

  it.each(["thrown", "streamed"])(
    "is not too early for the guard when it was waited for, as asked: %s",
    async (how) => {
      let calls = 0;
      const bare = new MockLanguageModelV4({
        doStream: async () => {
          calls += 1;
          const error = apiError(429, "7");
          if (calls % 2 === 1 && how === "thrown") throw error;
          const parts = calls % 2 === 1 ? [{ type: "error", error } as const] : wholeParts;
          return { stream: convertArrayToReadableStream([...parts]) };
        },
      });
      const { model, told } = guarded(bare, { clock: systemClock });
      for (let times = 0; times < 20; times += 1) {
        expect(await sdkStream(model)).toMatchObject({ text: "an answer", errors: [] });
      }
      expect(told().decisions).toHaveLength(40);
    },
  );

  it.each([
    [
      "what it threw",
      new MockLanguageModelV4({ doStream: async () => Promise.reject(apiError(400)) }),
    ],
    [
      "the error in its stream",
      streaming([...textParts.slice(0, 2), { type: "error", error: apiError(400) }]),
    ],
  ])("throws %s", async (_what, bare) => {
    const { model, told } = guarded(bare);
    await expect(model.doStream(params)).rejects.toMatchObject({ statusCode: 400 });
    expect(told().outcomes).toMatchObject([
      { outcome: "FAILED", failure_code: "PROVIDER_BAD_REQUEST" },
    ]);
  });

  it.each<[how: string, bare: LanguageModelV4, failure: string, thrown?: string]>([
    ["closes", streaming(textParts.slice(0, 2)), "STREAM_CUT"],
    ["throws no error", throwingModel("no"), "PROVIDER_UNAVAILABLE"],
    ["throws at once", throwingModel("no", "at once"), "PROVIDER_UNAVAILABLE"],
    [
      "has no stream",
      new MockLanguageModelV4({ doStream: async () => ({}) as never }),
      "PROVIDER_UNAVAILABLE",
      "its own",
    ],
    ["streams what is no part", streaming([textParts[0], null] as never), "STREAM_CUT", "its own"],
    [
      "says only what went wrong",
      streaming([{ type: "error", error: { code: 429 } }]),
      "PROVIDER_RATE_LIMITED",
    ],
  ])("that %s is an error", async (_how, bare, failure, thrown = failure) => {
    const { model, told } = guarded(bare);
    const error = await errorOf(model.doStream(params));
    expect(error).toBeInstanceOf(Error);
    expect(SluiceFailedError.isInstance(error) ? error.failure : "its own").toBe(thrown);
    expect(told().outcomes).toMatchObject([{ failure_code: failure }]);
  });

  it("and answers nothing at all is done", async () => {
    const { model, told } = guarded(streaming([finishPart]));
    expect(await partsOf(model)).toStrictEqual([finishPart]);
    expect(told().outcomes).toMatchObject([{ outcome: "SUCCEEDED" }]);
  });
});

describe("I1 a kill in flight", () => {
  it.each<[expected: string, more: { readonly fallback?: LanguageModelV4 }]>([
    ["the safe path", { fallback: answering("the safe path") }],
    ["divert KILLED", {}],
  ])("before any output takes the safe path: %s", async (expected, more) => {
    const bare = silentModel();
    const { model, guard, told } = guarded(bare, more);
    const calls = [
      generateText({ model, prompt }).then(({ text }) => text),
      sdkStream(model).then(({ text, errors }) => errors[0] ?? text),
    ].map((call) => call.catch((error: unknown) => error));
    await vi.waitFor(() => expect(guard.inFlight).toBe(2));
    await vi.waitFor(() => expect(bare.doStreamCalls).toHaveLength(1));
    guard.kill();
    await vi.waitFor(() => expect(guard.inFlight).toBe(0));
    for (const call of [...bare.doGenerateCalls, ...bare.doStreamCalls]) {
      expect(call.abortSignal?.aborted).toBe(true);
    }
    for (const answer of await Promise.all(calls)) {
      const isDenied = SluiceDeniedError.isInstance(answer);
      expect(isDenied ? `${answer.effect} ${answer.reason}` : answer).toBe(expected);
    }
    expect(told().outcomes).toMatchObject([{ failure_code: "KILLED" }, { failure_code: "KILLED" }]);
  });

  it("before any output also stops a stream that had begun", async () => {
    const upstream = openStream();
    const { model, guard } = guarded(upstream.model, { fallback: answering("the safe path") });
    upstream.write(...textParts.slice(0, 2));
    const parts = partsOf(model);
    await vi.waitFor(() => expect(upstream.model.doStreamCalls).toHaveLength(1));
    guard.kill();
    await upstream.cancelled;
    expect(await parts).toContainEqual({ type: "text-delta", id: "0", delta: "the safe path" });
  });

  it.each(["read", "unread"])("in mid-stream ends it, %s", async (how) => {
    const upstream = openStream();
    const { model, guard, told } = guarded(upstream.model, { fallback: answering("never") });
    upstream.write(...textParts);
    const { stream } = await model.doStream(params);
    const reading = how === "read" ? read(stream) : undefined;
    if (reading !== undefined) await new Promise(setImmediate);
    guard.kill();
    // At once, whether or not anybody reads.
    expect(guard.inFlight).toBe(0);
    await upstream.cancelled;
    upstream.model.doStreamCalls.forEach((call) => expect(call.abortSignal?.aborted).toBe(true));
    const parts = await (reading ?? read(stream));
    expect(parts.slice(-3)).toStrictEqual([
      { type: "text-end", id: "0" },
      failedPart("KILLED"),
      errorFinish,
    ]);
    const error = parts.at(-2);
    expect(error?.type === "error" && (error.error as Error).cause).toBeUndefined();
    expect(told().outcomes).toMatchObject([{ outcome: "FAILED", failure_code: "KILLED" }]);
  });

  it("ends a stream of the SDK's", async () => {
    const upstream = openStream();
    const { model, guard } = guarded(upstream.model);
    upstream.write(...textParts);
    const answer = sdkStream(model);
    await vi.waitFor(() => expect(guard.inFlight).toBe(1));
    await new Promise(setImmediate);
    guard.kill();
    const { errors, types } = await answer;
    expect(errors).toMatchObject([{ failure: "KILLED" }]);
    expect(types.at(-1)).toBe("finish");
  });
});

describe("the guard's clocks", () => {
  it.each<[which: string, more: object, written: number, failure: string]>([
    ["the first content", { firstContentTimeoutMs: 2000 }, 2, "PROVIDER_TIMEOUT"],
    ["the whole call", { timeoutMs: 2000 }, 0, "PROVIDER_TIMEOUT"],
  ])("end a wait for %s", async (_which, more, written, failure) => {
    const upstream = openStream();
    const { model, clock, told } = guarded(upstream.model, more);
    upstream.write(...textParts.slice(0, written));
    const calling = errorOf(model.doStream(params));
    await vi.waitFor(() => expect(upstream.model.doStreamCalls).toHaveLength(1));
    await clock.advanceAsync(2100);
    expect(await calling).toMatchObject({ failure });
    await upstream.cancelled;
    expect(told().outcomes).toMatchObject([{ failure_code: failure }]);
  });

  it("end a silence in mid-stream", async () => {
    const upstream = openStream();
    const { model, clock, told } = guarded(upstream.model, { chunkTimeoutMs: 1000 });
    upstream.write(...textParts);
    const { stream } = await model.doStream(params);
    const reading = read(stream);
    await clock.advanceAsync(1100);
    expect((await reading).slice(-2)).toStrictEqual([failedPart("STREAM_STALLED"), errorFinish]);
    expect(told().outcomes).toMatchObject([{ failure_code: "STREAM_STALLED" }]);
  });

  it("end a call that does not stream, but not for want of a first content", async () => {
    const { model, clock, guard } = guarded(silentModel(), {
      timeoutMs: 5000,
      firstContentTimeoutMs: 1000,
    });
    const calling = errorOf(model.doGenerate(params));
    await vi.waitFor(() => expect(guard.inFlight).toBe(1));
    await clock.advanceAsync(4900);
    expect(guard.inFlight).toBe(1);
    await clock.advanceAsync(200);
    expect(await calling).toMatchObject({
      message: "sluice: the call failed (PROVIDER_TIMEOUT)",
    });
  });

  it("cancel a stream that comes too late", async () => {
    const upstream = openStream();
    const late = Promise.withResolvers<{ stream: ReadableStream<LanguageModelV4StreamPart> }>();
    const { model, clock, guard } = guarded(
      new MockLanguageModelV4({ doStream: () => late.promise }),
      { timeoutMs: 1000 },
    );
    const calling = errorOf(model.doStream(params));
    await vi.waitFor(() => expect(guard.inFlight).toBe(1));
    await clock.advanceAsync(1100);
    expect(await calling).toMatchObject({ failure: "PROVIDER_TIMEOUT" });
    late.resolve(await upstream.model.doStream(params));
    await upstream.cancelled;
    expect(guard.inFlight).toBe(0);
  });
});
