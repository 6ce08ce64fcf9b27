import { AsyncLocalStorage } from "node:async_hooks";
import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4StreamPart,
} from "@ai-sdk/provider";
import type { MetricSample } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { generateText, streamText, wrapLanguageModel } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { FakeClock, fakeFlagSource } from "@sluice/testkit";
import { memoryAdmission } from "@sluice/guard";
import {
  answering,
  guarded,
  params,
  partsOf,
  prompt,
  sdkStream,
  streaming,
  throwingModel,
} from "../scripts/guarded.ts";
import { finishPart, resultOf, textParts, usageOf } from "../scripts/model-answers.ts";
import { guardMiddleware } from "./guard-middleware.ts";
import {
  guardedLanguageModel,
  type GuardedLanguageModelOptions,
} from "./guarded-language-model.ts";
import { SluiceDeniedError } from "./sluice-denied-error.ts";
import { SluiceFailedError } from "./sluice-failed-error.ts";

describe("the options", () => {
  it("refuse a model by its id", () => {
    expect(() => guarded("openai/gpt-5" as unknown as LanguageModelV4)).toThrow(
      'guardedLanguageModel.model: got "openai/gpt-5", expected an AI SDK 7 language model',
    );
  });

  it.each<[option: string, more: object]>([
    ["guardedLanguageModel.fallback", { fallback: "openai/gpt-5" }],
    ["guardedLanguageModel.subject", { subject: 7 }],
    ["guardedLanguageModel.tokens", { tokens: 4 }],
    ["guardedLanguageModel.tools", { tools: {} }],
    ["guardedLanguageModel.onFailure", { onFailure: "stub" }],
    ["createGuard.retries", { retries: 2 }],
    ["createGuard.timeoutMs", { timeoutMs: 0 }],
  ])("name what is wrong: %s", (option, more) => {
    expect(() => guarded(answering(""), more)).toThrow(`${option}: `);
  });

  it("of nothing are refused", () => {
    expect(() => guardedLanguageModel(undefined as never)).toThrow(
      "guardedLanguageModel: got nothing, expected an object",
    );
  });
});

describe("a call that is allowed", () => {
  it("gets the whole answer", async () => {
    const { model, told } = guarded(answering("an answer"));
    const { text, usage } = await generateText({ model, prompt });
    expect(text).toBe("an answer");
    expect(usage).toMatchObject({ inputTokens: 12, outputTokens: 5 });
    const { decisions, outcomes } = told();
    expect(decisions).toMatchObject([{ effect: "allow" }]);
    expect(outcomes).toMatchObject([
      {
        outcome: "SUCCEEDED",
        path: "ai",
        selected_provider: "mock-provider",
        input_tokens: 12,
        output_tokens: 5,
      },
    ]);
  });

  it("is a sample for the metrics", async () => {
    const samples: MetricSample[] = [];
    const { model, guard } = guarded(answering("an answer"), {
      metrics: (sample) => samples.push(sample),
    });
    await generateText({ model, prompt });
    guard.flush();
    expect(samples).toMatchObject([{ kind: "outcome", arm: "ai", outcome: "SUCCEEDED" }]);
  });

  it("gets every part of the stream as the model sent it", async () => {
    const parts: LanguageModelV4StreamPart[] = [
      { type: "stream-start", warnings: [] },
      { type: "response-metadata", id: "1" },
      { type: "ping" },
      { type: "reasoning-start", id: "r" },
      { type: "reasoning-delta", id: "r", delta: "hm" },
      { type: "reasoning-end", id: "r" },
      ...textParts.slice(1),
      { type: "text-end", id: "0" },
      { type: "tool-call", toolCallId: "1", toolName: "f", input: "{}" },
      { type: "source", sourceType: "url", id: "s", url: "https://a.example" },
      finishPart,
    ];
    const { model, told } = guarded(streaming(parts));
    expect(await partsOf(model)).toStrictEqual(parts);
    expect(told().outcomes).toMatchObject([{ outcome: "SUCCEEDED", output_tokens: 5 }]);
  });

  it("is the same to streamText as without a guard", async () => {
    const bare = await sdkStream(answering("an answer"));
    const { model } = guarded(answering("an answer"));
    expect(await sdkStream(model)).toStrictEqual(bare);
    expect(bare.text).toBe("an answer");
  });

  it("is made with the guard's signal, and without what is Sluice's own", async () => {
    const bare = answering("x");
    const { model } = guarded(bare);
    const { signal } = new AbortController();
    await generateText({
      model,
      prompt,
      maxOutputTokens: 50,
      abortSignal: signal,
      providerOptions: { sluice: { subject: "user-2" }, acme: { effort: "low" } },
    });
    const [call] = bare.doGenerateCalls;
    expect(call?.providerOptions).toStrictEqual({ acme: { effort: "low" } });
    expect(call?.maxOutputTokens).toBe(50);
    expect(call?.abortSignal).toBeInstanceOf(AbortSignal);
    expect(call?.abortSignal).not.toBe(signal);
  });

  it("works as a middleware of the SDK's", async () => {
    const clock = new FakeClock();
    const middleware = guardMiddleware({
      feature: "sample_ai",
      subject: "user-1",
      flags: fakeFlagSource({ clock }),
      clock,
      openTelemetry: false,
      sinks: [() => undefined],
    });
    const model = wrapLanguageModel({ model: answering("an answer"), middleware });
    expect((await generateText({ model, prompt })).text).toBe("an answer");
    expect((await sdkStream(model)).text).toBe("an answer");
    middleware.guard.kill();
    await expect(generateText({ model, prompt })).rejects.toThrow("sluice: diverted (KILLED)");
    expect(String(middleware.guard.describe())).toContain("ai-sdk");
    expect(middleware.guard.inFlight).toBe(0);
    middleware.guard.close();
  });

  it("keeps the model's own supported URLs", async () => {
    const supportedUrls = { "image/*": [/^https:/] };
    const { model } = guarded(new MockLanguageModelV4({ supportedUrls }));
    expect(await model.supportedUrls).toStrictEqual(supportedUrls);
  });
});

describe("the budget", () => {
  const budget = { tokensPerRun: 1000, maxOutputTokens: 100 };

  it.each<[asked: number | undefined, sent: number]>([
    [undefined, 100],
    [500, 100],
    [40, 40],
  ])("lowers a cap of %s to %s", async (maxOutputTokens, sent) => {
    const bare = answering("x");
    const { model } = guarded(bare, { budget });
    await model.doGenerate({ ...params, ...(maxOutputTokens && { maxOutputTokens }) });
    await partsOf(model, maxOutputTokens === undefined ? {} : { maxOutputTokens });
    expect(bare.doGenerateCalls[0]?.maxOutputTokens).toBe(sent);
    expect(bare.doStreamCalls[0]?.maxOutputTokens).toBe(sent);
  });

  it("of a run is shared by its calls, lowered to what is left and then spent", async () => {
    const bare = new MockLanguageModelV4({
      doGenerate: async () => resultOf([{ type: "text", text: "x" }], { usage: usageOf(400, 80) }),
    });
    const { model, guard } = guarded(bare, {
      budget: { tokensPerRun: 650, maxOutputTokens: 100 },
      inputTokens: () => 100,
    });
    const providerOptions = { sluice: { run: "run-1" } };
    await generateText({ model, prompt, providerOptions });
    expect(guard.budget.use("run-1")).toMatchObject({ calls: 1, tokens: 480 });
    await generateText({ model, prompt, providerOptions });
    expect(bare.doGenerateCalls.map((call) => call.maxOutputTokens)).toStrictEqual([100, 70]);
    await expect(generateText({ model, prompt, providerOptions })).rejects.toMatchObject({
      reason: "BUDGET_TOKENS",
    });
  });

  it("does not let through what it can't count", async () => {
    const data = { type: "url", url: new URL("https://a.example/cat.png") } as const;
    const image = { type: "file", mediaType: "image/png", data } as const;
    const bare = answering("x");
    const withImage = { ...params, prompt: [{ role: "user", content: [image] }] } as const;
    const call = {
      ...withImage,
      prompt: [...withImage.prompt],
    } as unknown as LanguageModelV4CallOptions;
    await expect(guarded(bare, { budget }).model.doGenerate(call)).rejects.toMatchObject({
      reason: "BUDGET_TOKENS",
    });
    const counted = guarded(bare, { budget, inputTokens: () => 800 });
    await counted.model.doGenerate(call);
    expect(bare.doGenerateCalls).toHaveLength(1);
  });
});

/** Why a call for a subject is denied, where only `listed` is let in. */
const decided = async (
  subject: GuardedLanguageModelOptions["subject"],
  providerOptions?: LanguageModelV4CallOptions["providerOptions"],
): Promise<string> => {
  const { model } = guarded(answering("x"), { subject, allowlist: ["listed"] });
  try {
    await model.doGenerate({ ...params, ...(providerOptions && { providerOptions }) });
    return "allowed";
  } catch (error) {
    return SluiceDeniedError.isInstance(error) ? error.reason : String(error);
  }
};

describe("whom it is decided for", () => {
  it("is the subject, or what a function says at each call", async () => {
    expect(await decided("listed")).toBe("allowed");
    expect(await decided("other")).toBe("NOT_ALLOWLISTED");
    expect(await decided(() => "listed")).toBe("allowed");
    expect(
      await decided(({ prompt: asked }) => (asked === params.prompt ? "listed" : "other")),
    ).toBe("allowed");
  });

  it("is whom the application's own storage knows, also while the SDK streams", async () => {
    const storage = new AsyncLocalStorage<string>();
    const { model } = guarded(answering("an answer"), {
      subject: () => storage.getStore() ?? "",
      allowlist: ["listed"],
    });
    const { stream } = storage.run("listed", () => streamText({ model, prompt }));
    let text = "";
    for await (const part of stream) if (part.type === "text-delta") text += part.text;
    expect(text).toBe("an answer");
  });

  it("is whom the call itself names", async () => {
    expect(await decided("listed", { sluice: { subject: "other" } })).toBe("NOT_ALLOWLISTED");
    expect(await decided("other", { sluice: { subject: "listed" } })).toBe("allowed");
  });

  it("is nobody where nobody is named", async () => {
    expect(await decided("")).toBe("NOT_IN_ROLLOUT");
  });

  it("is told wrongly with the option named", async () => {
    expect(await decided("listed", { sluice: { subject: 7 } })).toContain(
      "providerOptions.sluice.subject: got 7",
    );
    expect(await decided("listed", { sluice: { user: "x" } })).toContain(
      "providerOptions.sluice.user",
    );
  });
});

describe("a call that is diverted", () => {
  it("is answered by the fallback, and the model is not called", async () => {
    const bare = answering("an answer");
    const fallback = answering("the safe path");
    const { model, flags, told } = guarded(bare, { fallback });
    flags.set({ enabled: false });
    const providerOptions = { sluice: { subject: "user-2" } };
    expect((await generateText({ model, prompt, providerOptions })).text).toBe("the safe path");
    expect((await sdkStream(model)).text).toBe("the safe path");
    expect(bare.doGenerateCalls).toHaveLength(0);
    expect(bare.doStreamCalls).toHaveLength(0);
    expect(fallback.doGenerateCalls[0]?.providerOptions).toStrictEqual({});
    // Closed: nothing but a trace of each.
    expect(told()).toStrictEqual({ decisions: [], outcomes: [] });
  });

  it("is recorded as such where the feature is open", async () => {
    const { model, told } = guarded(answering(""), { fallback: answering("x"), allowlist: [] });
    await generateText({ model, prompt });
    expect(told()).toMatchObject({
      decisions: [{ effect: "divert", reason: "NOT_ALLOWLISTED" }],
      outcomes: [{ outcome: "STUBBED", reason: "NOT_ALLOWLISTED" }],
    });
  });

  it("throws without a fallback, once, however many retries the SDK has", async () => {
    const bare = answering("an answer");
    const { model, told } = guarded(bare, { allowlist: [] });
    const denied = await generateText({ model, prompt, maxRetries: 2 }).catch(
      (error: unknown) => error,
    );
    expect(SluiceDeniedError.isInstance(denied)).toBe(true);
    expect(denied).toMatchObject({
      message: "sluice: diverted (NOT_ALLOWLISTED)",
      code: "SLUICE_DENIED",
      effect: "divert",
      reason: "NOT_ALLOWLISTED",
      retryAfterMs: undefined,
    });
    const { errors, types } = await sdkStream(model, { maxRetries: 2 });
    expect(errors).toMatchObject([{ code: "SLUICE_DENIED" }]);
    expect(types).toContain("error");
    expect(bare.doGenerateCalls).toHaveLength(0);
    expect(bare.doStreamCalls).toHaveLength(0);
    expect(told().decisions).toHaveLength(2);
  });

  it("is let through again when the kill is lifted", async () => {
    const { model, guard } = guarded(answering("an answer"));
    guard.kill();
    await expect(generateText({ model, prompt })).rejects.toMatchObject({ reason: "KILLED" });
    guard.restore();
    expect((await generateText({ model, prompt })).text).toBe("an answer");
  });
});

describe("a call that is rejected", () => {
  it("says when to come again, and has no fallback", async () => {
    const fallback = answering("the safe path");
    const clock = new FakeClock();
    const admission = memoryAdmission({ messageRate: { count: 1, perMs: 5000 }, clock });
    const { model, told } = guarded(answering("an answer"), { fallback, admission });
    await generateText({ model, prompt });
    await expect(generateText({ model, prompt, maxRetries: 2 })).rejects.toMatchObject({
      message: "sluice: rejected (MESSAGE_RATE)",
      effect: "reject",
      reason: "MESSAGE_RATE",
      retryAfterMs: 5000,
    });
    expect(fallback.doGenerateCalls).toHaveLength(0);
    const { decisions, outcomes } = told();
    expect(decisions).toHaveLength(2);
    expect(outcomes.map(({ outcome }) => outcome)).toStrictEqual(["SUCCEEDED", "REJECTED"]);
  });
});

describe("I5 what the guard tells of a call", () => {
  it("holds nothing that anybody wrote", async () => {
    const sentinel = "sentinel-7f3a";
    const events: unknown[] = [];
    const errors: string[] = [];
    const call = {
      ...params,
      headers: { a: sentinel },
      providerOptions: { acme: { a: sentinel } },
    };
    const upstreams = [
      answering(sentinel),
      throwingModel(new Error(sentinel)),
      throwingModel(sentinel),
      streaming([...textParts, { type: "error", error: { message: sentinel } }]),
      streaming([{ type: "text-delta", id: "0", delta: sentinel }]),
    ];
    for (const bare of upstreams) {
      const { model, guard } = guarded(bare, { sinks: [(event) => void events.push(event)] });
      const failed = (error: unknown): void => {
        if (SluiceFailedError.isInstance(error)) errors.push(error.message);
      };
      await model.doGenerate(call).then(undefined, failed);
      await partsOf(model, call).then(
        (parts) => parts.forEach((part) => part.type === "error" && failed(part.error)),
        failed,
      );
      guard.flush();
      events.push(String(guard.describe()));
    }
    expect(events.length).toBeGreaterThan(upstreams.length * 4);
    expect(errors.length).toBeGreaterThan(0);
    expect(JSON.stringify([events, errors])).not.toContain(sentinel);
  });
});
