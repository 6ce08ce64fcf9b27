import {
  APICallError,
  type LanguageModelV4,
  type LanguageModelV4CallOptions,
  type LanguageModelV4StreamPart,
} from "@ai-sdk/provider";
import { FakeClock, fakeFlagSource, recordingSink } from "@sluice/testkit";
import { streamText } from "ai";
import { MockLanguageModelV4, convertArrayToReadableStream } from "ai/test";
import { expect } from "vitest";
import { guardedLanguageModel, type GuardedLanguageModelOptions } from "../src/index.ts";
import { finishPart, resultOf, usageOf } from "./model-answers.ts";

export const prompt = "Say hello";
export const params: LanguageModelV4CallOptions = {
  prompt: [{ role: "user", content: [{ type: "text", text: prompt }] }],
};

export const answering = (text: string) =>
  new MockLanguageModelV4({
    doGenerate: async () => resultOf([{ type: "text", text }]),
    doStream: async () => ({
      stream: convertArrayToReadableStream([
        { type: "text-start", id: "0" },
        { type: "text-delta", id: "0", delta: text },
        { type: "text-end", id: "0" },
        finishPart,
      ] satisfies LanguageModelV4StreamPart[]),
    }),
  });

export const streaming = (parts: readonly LanguageModelV4StreamPart[]) =>
  new MockLanguageModelV4({ doStream: { stream: convertArrayToReadableStream([...parts]) } });

/** A model that throws, also before it has given a promise. */
export const throwingModel = (error: unknown, when?: "at once") => {
  const atOnce = (): never => {
    throw error;
  };
  const late = async (): Promise<never> => atOnce();
  const model = new MockLanguageModelV4({ doGenerate: late, doStream: late });
  if (when !== undefined) Object.assign(model, { doGenerate: atOnce, doStream: atOnce });
  return model;
};

/** A guarded model with its flags, its clock and what it told its sink. */
export function guarded(
  model: LanguageModelV4,
  more: Partial<Omit<GuardedLanguageModelOptions, "model" | "flags">> = {},
) {
  const clock = new FakeClock();
  const flags = fakeFlagSource({ clock: more.clock ?? clock });
  const record = recordingSink();
  const guardedModel = guardedLanguageModel({
    feature: "sample_ai",
    subject: "user-1",
    openTelemetry: false,
    sinks: [record.sink],
    maxStalenessMs: 3_600_000,
    clock,
    ...more,
    model,
    flags,
  });
  const { guard } = guardedModel;
  return {
    model: guardedModel,
    guard,
    flags,
    clock,
    /** Decisions and outcomes so far, and that nothing is held. */
    told: () => {
      guard.flush();
      expect(guard.inFlight).toBe(0);
      return { decisions: record.of("decision"), outcomes: record.of("outcome") };
    },
  };
}

export async function partsOf(
  model: LanguageModelV4,
  more: Partial<LanguageModelV4CallOptions> = {},
): Promise<LanguageModelV4StreamPart[]> {
  const { stream } = await model.doStream({ ...params, ...more });
  return read(stream);
}

export async function read(
  stream: ReadableStream<LanguageModelV4StreamPart>,
): Promise<LanguageModelV4StreamPart[]> {
  const parts: LanguageModelV4StreamPart[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

/** The SDK's own stream to its end, with the errors that it told of. */
export async function sdkStream(
  model: LanguageModelV4,
  more: Partial<Parameters<typeof streamText>[0]> = {},
) {
  const errors: unknown[] = [];
  const types: string[] = [];
  let text = "";
  const { stream } = streamText({
    model,
    prompt,
    onError: ({ error }) => {
      errors.push(error);
    },
    ...more,
  } as Parameters<typeof streamText>[0]);
  for await (const part of stream) {
    types.push(part.type);
    if (part.type === "text-delta") text += part.text;
  }
  return { errors, types, text };
}

export const apiError = (statusCode: number, retryAfterMs = "1") =>
  new APICallError({
    message: "no",
    url: "http://upstream",
    requestBodyValues: {},
    statusCode,
    // The SDK's own wait; otherwise two seconds.
    responseHeaders: { "retry-after-ms": retryAfterMs },
  });

export const failedPart = (failure: string) => ({
  type: "error",
  error: expect.objectContaining({ code: "SLUICE_FAILED", failure }) as unknown,
});
export const errorFinish = {
  type: "finish",
  finishReason: { unified: "error", raw: undefined },
  usage: usageOf(undefined, undefined),
};
