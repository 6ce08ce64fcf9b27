import type { LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { describe, expect, it, vi } from "vitest";
import { streamText } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import {
  errorFinish,
  failedPart,
  guarded,
  params,
  partsOf,
  prompt,
  read,
  sdkStream,
  streaming,
} from "../scripts/guarded.ts";
import { finishOf, finishPart, resultOf, textParts, usageOf } from "../scripts/model-answers.ts";
import { openStream, silentModel } from "../scripts/open-stream.ts";

describe("an upstream that fails in mid-stream", () => {
  it("ends the consumer's stream with an error and a finish", async () => {
    const upstream = openStream();
    const { model, told } = guarded(upstream.model);
    upstream.write(...textParts);
    const { stream } = await model.doStream(params);
    const cause = new TypeError("terminated");
    upstream.breakOff(cause);
    const parts = await read(stream);
    expect(parts.slice(-3)).toStrictEqual([
      { type: "text-end", id: "0" },
      failedPart("STREAM_CUT"),
      errorFinish,
    ]);
    expect(parts.at(-2)).toMatchObject({ error: { cause } });
    expect(told().outcomes).toMatchObject([{ outcome: "FAILED", failure_code: "STREAM_CUT" }]);
  });

  it("does the same when it closes without a finish", async () => {
    const { model, told } = guarded(streaming(textParts));
    expect(await partsOf(model)).toStrictEqual([
      ...textParts,
      { type: "text-end", id: "0" },
      failedPart("STREAM_CUT"),
      errorFinish,
    ]);
    expect(told().outcomes).toMatchObject([{ failure_code: "STREAM_CUT" }]);
  });

  it("is heard by streamText: onError, a finish, and no text lost", async () => {
    const { model } = guarded(streaming(textParts));
    const onEnd = vi.fn<() => void>();
    const { errors, types, text } = await sdkStream(model, { onEnd });
    expect(errors).toMatchObject([{ failure: "STREAM_CUT" }]);
    expect(types.slice(-3)).toStrictEqual(["error", "finish-step", "finish"]);
    expect(text).toBe("an answer");
    expect(onEnd).toHaveBeenCalledOnce();
  });

  it("keeps its own error and its own finish, with their usage", async () => {
    const parts: LanguageModelV4StreamPart[] = [
      ...textParts,
      { type: "error", error: { message: "m", code: "insufficient_quota" } },
      { type: "finish", finishReason: finishOf("error"), usage: usageOf(12, 3) },
    ];
    const { model, told } = guarded(streaming(parts));
    expect(await partsOf(model)).toStrictEqual(parts);
    expect(told().outcomes).toMatchObject([{ failure_code: "PROVIDER_QUOTA", output_tokens: 3 }]);
  });

  it("gets a finish after its own error, and no second error", async () => {
    const parts: LanguageModelV4StreamPart[] = [
      ...textParts,
      { type: "error", error: "Overloaded" },
    ];
    const { model, told } = guarded(streaming(parts));
    expect(await partsOf(model)).toStrictEqual([
      ...parts,
      { type: "text-end", id: "0" },
      errorFinish,
    ]);
    expect(told().outcomes).toMatchObject([{ failure_code: "PROVIDER_UNAVAILABLE" }]);
  });

  it.each([
    [finishOf("length"), "OUTPUT_TRUNCATED"],
    [finishOf("content-filter"), "CONTENT_FILTERED"],
    [finishOf("interrupted"), "STREAM_CUT"],
  ])("has its finish %o handed on, and is recorded as %s", async (finishReason, code) => {
    const parts = [...textParts, { ...finishPart, finishReason } as LanguageModelV4StreamPart];
    const { model, told } = guarded(streaming(parts));
    expect(await partsOf(model)).toStrictEqual(parts);
    const whole = guarded(new MockLanguageModelV4({ doGenerate: resultOf([], { finishReason }) }));
    expect((await whole.model.doGenerate(params)).finishReason).toStrictEqual(finishReason);
    for (const { outcomes } of [told(), whole.told()]) {
      expect(outcomes).toMatchObject([{ failure_code: code, output_tokens: 5 }]);
    }
  });
});

describe("a consumer", () => {
  it("that aborts is told its own reason, and the upstream is left", async () => {
    const reason = new Error("changed my mind");
    const controller = new AbortController();
    const { model, guard, told } = guarded(silentModel());
    const calls = [
      model.doGenerate({ ...params, abortSignal: controller.signal }),
      model.doStream({ ...params, abortSignal: controller.signal }),
    ].map((call) => Promise.resolve<unknown>(call).catch((error: unknown) => error));
    await vi.waitFor(() => expect(guard.inFlight).toBe(2));
    controller.abort(reason);
    expect(await Promise.all(calls)).toStrictEqual([reason, reason]);
    await expect(model.doGenerate({ ...params, abortSignal: controller.signal })).rejects.toBe(
      reason,
    );
    expect(told().outcomes.map((event) => event.failure_code)).toStrictEqual(
      Array(3).fill("CLIENT_ABORTED"),
    );
  });

  it("that aborts in mid-stream leaves nothing behind, and the SDK says `abort`", async () => {
    const upstream = openStream();
    const { model, told } = guarded(upstream.model);
    upstream.write(...textParts);
    const controller = new AbortController();
    const onAbort = vi.fn<() => void>();
    const { stream } = streamText({ model, prompt, abortSignal: controller.signal, onAbort });
    const types: string[] = [];
    for await (const part of stream) {
      types.push(part.type);
      if (part.type === "text-delta") controller.abort();
    }
    await upstream.cancelled;
    expect(types.at(-1)).toBe("abort");
    expect(onAbort).toHaveBeenCalledOnce();
    expect(told().outcomes).toMatchObject([{ failure_code: "CLIENT_ABORTED" }]);
  });

  it("that aborts reads its own reason where it reads on", async () => {
    const upstream = openStream();
    const { model } = guarded(upstream.model);
    upstream.write(...textParts);
    const controller = new AbortController();
    const { stream } = await model.doStream({ ...params, abortSignal: controller.signal });
    controller.abort();
    expect((await read(stream)).slice(-2)).toStrictEqual([
      { type: "error", error: controller.signal.reason as unknown },
      errorFinish,
    ]);
  });

  it("that cancels leaves nothing behind", async () => {
    const upstream = openStream();
    const { model, told } = guarded(upstream.model);
    upstream.write(...textParts);
    const { stream } = await model.doStream(params);
    const reader = stream.getReader();
    await reader.read();
    const pending = [1, 2, 3, 4].map(() => reader.read());
    await reader.cancel();
    await upstream.cancelled;
    await Promise.all(pending);
    expect(told().outcomes).toMatchObject([{ failure_code: "CLIENT_ABORTED" }]);
  });

  it("that reads slowly slows the upstream", async () => {
    let pulls = 0;
    const stream = new ReadableStream<LanguageModelV4StreamPart>(
      {
        pull(controller) {
          pulls += 1;
          controller.enqueue({ type: "text-delta", id: "0", delta: String(pulls) });
        },
      },
      { highWaterMark: 0 },
    );
    const { model } = guarded(new MockLanguageModelV4({ doStream: { stream } }));
    const opened = await model.doStream(params);
    await new Promise(setImmediate);
    expect(pulls).toBe(1);
    const reader = opened.stream.getReader();
    await reader.read();
    await reader.read();
    await new Promise(setImmediate);
    expect(pulls).toBe(2);
    await reader.cancel();
  });

  it("that stops reading is cut off in the end, and the upstream is not blamed", async () => {
    const upstream = openStream();
    const { model, clock, guard, told } = guarded(upstream.model, {
      stream: { stallMs: 12_000 },
      chunkTimeoutMs: 1000,
    });
    upstream.write(...textParts);
    const { stream } = await model.doStream(params);
    clock.advance(11_000);
    expect(guard.inFlight).toBe(1);
    clock.advance(2000);
    await upstream.cancelled;
    expect(told().outcomes).toMatchObject([{ failure_code: "CLIENT_ABORTED" }]);
    expect((await read(stream)).slice(-2)).toStrictEqual([
      failedPart("CLIENT_ABORTED"),
      errorFinish,
    ]);
    expect(clock.pendingTimers).toBe(0);
  });
});
