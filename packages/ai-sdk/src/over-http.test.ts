import { fileURLToPath } from "node:url";
import {
  chatCompletion,
  sendJson,
  startProcess,
  startUpstream,
  type Upstream,
} from "@sluice/testkit";
import { staticFlags } from "@sluice/guard";
import { generateText, streamText } from "ai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { httpModel } from "../scripts/http-model.ts";
import { frame, sendFrames, textFrames } from "../scripts/stream-answer.ts";
import {
  guardedLanguageModel,
  type GuardedLanguageModelOptions,
} from "./guarded-language-model.ts";

const prompt = "Say hello";
const script = fileURLToPath(new URL("../scripts/pipe-un-awaited.ts", import.meta.url));

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream(() => undefined);
});
afterAll(() => upstream.close());

const guarded = (more: Partial<GuardedLanguageModelOptions> = {}) =>
  guardedLanguageModel({
    feature: "sample_ai",
    subject: "user-1",
    flags: staticFlags({ sample_ai: { enabled: true } }),
    openTelemetry: false,
    sinks: [() => undefined],
    model: httpModel(upstream.url),
    ...more,
  });

async function streamed(model: ReturnType<typeof guarded>) {
  const errors: unknown[] = [];
  const { stream } = streamText({
    model,
    prompt,
    maxRetries: 0,
    onError: ({ error }) => void errors.push(error),
  });
  let text = "";
  const types: string[] = [];
  for await (const part of stream) {
    types.push(part.type);
    if (part.type === "text-delta") text += part.text;
  }
  return { text, errors, last: types.at(-1) };
}

describe("a guarded model over HTTP", () => {
  it("answers whole and as it flows, with the cap of its budget", async () => {
    const model = guarded({ budget: { callsPerRun: 1, maxOutputTokens: 77 } });
    upstream.answerWith((res) => sendJson(res, chatCompletion("an answer")));
    expect((await generateText({ model, prompt })).text).toBe("an answer");
    upstream.answerWith((res) => {
      sendFrames(res, textFrames("an answer"));
      res.end();
    });
    expect(await streamed(model)).toStrictEqual({ text: "an answer", errors: [], last: "finish" });
    for (const { body } of upstream.requests.slice(-2)) {
      expect(JSON.parse(body)).toMatchObject({ max_completion_tokens: 77 });
    }
    expect(model.guard.inFlight).toBe(0);
  });

  it.each<[how: string, end: (res: { destroy(): void; end(): void }) => void]>([
    ["its socket is destroyed", (res) => res.destroy()],
    ["it ends before it said why", (res) => res.end()],
  ])("that is cut in mid-stream still finishes when %s", async (_how, end) => {
    upstream.answerWith((res) => {
      sendFrames(res, textFrames("an answer").slice(0, 3), () => end(res));
    });
    const model = guarded();
    const { text, last } = await streamed(model);
    expect(text).toBe("an ");
    expect(last).toBe("finish");
    expect(model.guard.inFlight).toBe(0);
  });

  it("that is killed in mid-stream lets its upstream go", async () => {
    upstream.answerWith((res) => sendFrames(res, textFrames("an answer").slice(0, 3)));
    const model = guarded();
    const { stream } = streamText({ model, prompt, onError: () => undefined });
    const types: string[] = [];
    for await (const part of stream) {
      types.push(part.type);
      if (part.type === "text-delta") model.guard.kill();
    }
    await upstream.settled();
    expect(types.slice(-3)).toStrictEqual(["error", "finish-step", "finish"]);
    expect(model.guard.inFlight).toBe(0);
  });

  it("that has nobody at the other end lets the SDK try again", async () => {
    const closed = await startUpstream(() => undefined);
    await closed.close();
    const model = guarded({ model: httpModel(closed.url) });
    await expect(generateText({ model, prompt, maxRetries: 0 })).rejects.toMatchObject({
      isRetryable: true,
    });
    expect(model.guard.inFlight).toBe(0);
  });
});

/** The process after its upstream was cut in mid-stream. */
async function run(how: string) {
  upstream.answerWith((res) => {
    sendFrames(
      res,
      [
        frame({ choices: [{ delta: { content: "an " } }] }),
        frame({ choices: [{ delta: { content: "answer" } }] }),
      ],
      () => res.destroy(),
    );
  });
  const child = startProcess(script, { args: [how, upstream.url] });
  const { code } = await child.ended;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

describe("I13 a process that pipes answers and awaits nothing", () => {
  it.each([
    ["ui", '"type\\":\\"finish\\"'],
    ["text", 'client "an answer"'],
  ])("lives on when its upstream is cut: %s", async (how, received) => {
    const { code, stdout, stderr } = await run(how);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toContain("onError sluice: the call failed (STREAM_CUT)");
    expect(stdout).toContain("onEnd error");
    expect(stdout).toContain("in flight 0");
    expect(stdout).toContain(received);
  });

  it("dies of it without a guard", async () => {
    const { code, stdout, stderr } = await run("bare");
    expect(code).toBe(1);
    expect(stderr).toContain("terminated");
    expect(stdout).not.toContain("onEnd");
  });
});
