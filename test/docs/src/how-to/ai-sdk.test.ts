import { staticFlags } from "@sluice/guard";
import { simulateReadableStream } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { describe, expect, it } from "vitest";
import { guardModel, guardOver, writeWith } from "./ai-sdk.ts";

const usage = {
  inputTokens: { total: 12, noCache: 12, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 5, text: 5, reasoning: 0 },
};
const finishReason = { unified: "stop", raw: "stop" } as const;

/** A model that always says the same. */
function saying(text: string): MockLanguageModelV4 {
  return new MockLanguageModelV4({
    doGenerate: { content: [{ type: "text", text }], finishReason, usage, warnings: [] },
    doStream: async () => ({
      stream: simulateReadableStream({
        chunks: [
          { type: "stream-start", warnings: [] },
          { type: "text-start", id: "1" },
          { type: "text-delta", id: "1", delta: text },
          { type: "text-end", id: "1" },
          { type: "finish", finishReason, usage },
        ],
      }),
    }),
  });
}

describe("the provider of the page", () => {
  it("is asked for the contract's value", async () => {
    const model = saying(JSON.stringify({ status: "OK", reply: "In the drawer." }));
    const guard = guardOver(() => model, staticFlags({ help_ai: { enabled: true } }));
    expect(await guard.run({ text: "Where is the key?" }, { subject: "user-1" })).toMatchObject({
      status: "SUCCEEDED",
      value: { reply: "In the drawer." },
      record: { selectedProvider: "openai", usage: { inputTokens: 12, outputTokens: 5 } },
    });
    expect(model.doGenerateCalls[0]?.responseFormat).toMatchObject({ type: "json" });
    guard.close();
  });
});

describe("the guarded model of the page", () => {
  const flags = staticFlags({ write_ai: { enabled: true } });
  const model = saying("Once upon a time.");
  const guarded = guardModel(
    () => model,
    flags,
    () => ({ id: "user-1" }),
    saying("A person will write to you."),
  );

  it("answers as the model does, and knows what it used", async () => {
    expect(await writeWith(guarded, "Write!", "request-1").text).toBe("Once upon a time.");
    expect(guarded.guard.budget.use("request-1")).toMatchObject({ calls: 1 });
    expect(model.doStreamCalls[0]?.maxOutputTokens).toBe(800);
    expect(model.doStreamCalls[0]?.providerOptions).toEqual({});
  });

  it("is the fallback's once it is killed", async () => {
    guarded.guard.kill();
    expect(await writeWith(guarded, "Write!", "request-2").text).toBe(
      "A person will write to you.",
    );
    expect(model.doStreamCalls).toHaveLength(1);
    guarded.guard.close();
  });
});
