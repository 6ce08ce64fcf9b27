import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  chatCompletion,
  sendJson,
  startUpstream,
  type Upstream,
  type UpstreamAnswer,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import {
  answerSchema,
  forEachAtOnce,
  openFlags,
  startChatApp,
  type ChatAnswer,
  type ChatApp,
} from "./chat-app.ts";

/** 80 real prompts; kept beside the repository. */
const questions = fileURLToPath(
  new URL("../../../../shared/data/prompts/mt_bench_questions.jsonl", import.meta.url),
);
const questionSchema = z.object({ turns: z.tuple([z.string().min(1)], z.string()) });

const readPrompts = (): readonly string[] =>
  readFileSync(questions, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => questionSchema.parse(JSON.parse(line)).turns[0]);

const atOnce = 16;

const good: UpstreamAnswer = (res) => sendJson(res, chatCompletion("A good answer."));

async function upstreamThat(answer: UpstreamAnswer): Promise<Upstream> {
  const upstream = await startUpstream(answer);
  onTestFinished(() => upstream.close());
  return upstream;
}

const askAll = (app: ChatApp, prompts: readonly string[]): Promise<readonly ChatAnswer[]> =>
  forEachAtOnce(prompts, atOnce, (prompt) => app.chat(prompt));

const statusesOf = (answers: readonly ChatAnswer[]): ReadonlySet<string> =>
  new Set(answers.map(({ body }) => answerSchema.parse(body).status));

/** `ai`, or `legacy` where the gateway handed over. */
const pathsOf = (answers: readonly ChatAnswer[]): ReadonlySet<string | null> =>
  new Set(answers.map(({ path }) => path));

const httpStatusesOf = (answers: readonly ChatAnswer[]): ReadonlySet<number> =>
  new Set(answers.map(({ status }) => status));

describe.skipIf(!existsSync(questions))("80 real prompts", { timeout: 20_000 }, () => {
  const prompts = existsSync(questions) ? readPrompts() : [];

  it("are all there", () => {
    expect(prompts).toHaveLength(80);
  });

  it.each([
    ["the feature off", openFlags.replace("FEATURE_CHAT_AI=true", "FEATURE_CHAT_AI=false")],
    ["a kill", openFlags.replace("CHAT_AI_KILL=false", "CHAT_AI_KILL=true")],
    ["0 %", openFlags.replace("PERCENT=100", "PERCENT=0")],
  ])("get 80 answers of the legacy handler with %s, and no request leaves", async (_, flags) => {
    const upstream = await upstreamThat(good);
    const app = await startChatApp({ upstreamUrl: upstream.url, flags });
    await app.untilPath("legacy");
    const answers = await askAll(app, prompts);
    expect(answers).toHaveLength(80);
    expect(httpStatusesOf(answers)).toEqual(new Set([200]));
    expect(statusesOf(answers)).toEqual(new Set(["OK"]));
    expect(pathsOf(answers)).toEqual(new Set(["legacy"]));
    expect(upstream.requests).toHaveLength(0);
  });

  it("get 80 answers of the legacy handler with the gateway off, and no request leaves", async () => {
    const upstream = await upstreamThat(good);
    const app = await startChatApp({ upstreamUrl: upstream.url, flags: "FEATURE_CHAT_AI=true\n" });
    const answers = await askAll(app, prompts);
    expect(httpStatusesOf(answers)).toEqual(new Set([200]));
    expect(new Set(answers.map(({ path, decision }) => path ?? decision))).toEqual(new Set([null]));
    expect(upstream.requests).toHaveLength(0);
  });

  it("get 80 answers of the model with the feature on, one request each", async () => {
    const upstream = await upstreamThat(good);
    const app = await startChatApp({ upstreamUrl: upstream.url, flags: openFlags });
    await app.untilPath("ai");
    const before = upstream.requests.length;
    const answers = await askAll(app, prompts);
    expect(httpStatusesOf(answers)).toEqual(new Set([200]));
    expect(statusesOf(answers)).toEqual(new Set(["OK"]));
    expect(pathsOf(answers)).toEqual(new Set(["ai"]));
    expect(new Set(answers.map(({ decision }) => decision)).size).toBe(80);
    expect(upstream.requests.length - before).toBe(80);
    const keys = upstream.requests.map(({ headers }) => headers["idempotency-key"]);
    expect(new Set(keys).size).toBe(upstream.requests.length);
  });

  it("I1 a kill in the middle stops every call once it is seen, and nobody sees an error", async () => {
    const upstream = await upstreamThat(good);
    const app = await startChatApp({
      upstreamUrl: upstream.url,
      flags: openFlags,
      env: { CHAT_AI_TIMEOUT_MS: "60000" },
    });
    await app.untilPath("ai");
    const before = upstream.requests.length;
    // The first half is answered; what comes after hangs until it is aborted.
    upstream.answerWith((res, request) => {
      if (upstream.requests.length - before <= 40) good(res, request);
    });
    const asking = askAll(app, prompts);
    await upstream.received(before + 40 + atOnce);
    await app.editFlags(openFlags.replace("CHAT_AI_KILL=false", "CHAT_AI_KILL=true"));
    await app.untilPath("legacy");
    const asked = upstream.requests.length - before;
    const answers = await asking;
    await upstream.settled();
    expect(httpStatusesOf(answers)).toEqual(new Set([200]));
    expect(pathsOf(answers)).toEqual(new Set(["ai", "legacy"]));
    expect(asked).toBeLessThan(80);
    const afterwards = await askAll(app, prompts);
    expect(pathsOf(afterwards)).toEqual(new Set(["legacy"]));
    expect(upstream.requests.length - before).toBe(asked);
  });

  it.each<[what: string, answer: UpstreamAnswer]>([
    ["500", (res) => sendJson(res, { error: { message: "no" } }, 500)],
    ["garbage", (res) => void res.end("\u0000 no JSON {")],
    ["too much", (res) => sendJson(res, chatCompletion("x".repeat(16_001)))],
    ["a refusal", (res) => sendJson(res, chatCompletion(null, { message: { refusal: "no" } }))],
    ["nothing", (res) => void res.end()],
    ["a hanging connection", () => undefined],
    [
      "a hanging body",
      (res) => {
        res.writeHead(200, { "content-type": "application/json" });
        res.write('{"choices":');
      },
    ],
    ["a reset", (res) => res.socket?.resetAndDestroy()],
  ])("get a FAILED, or the legacy answer, when the model answers %s", async (_, answer) => {
    const upstream = await upstreamThat(good);
    const app = await startChatApp({
      upstreamUrl: upstream.url,
      flags: openFlags,
      env: { CHAT_AI_TIMEOUT_MS: "100" },
    });
    await app.untilPath("ai");
    upstream.answerWith(answer);
    const answers = await askAll(app, prompts);
    expect(answers).toHaveLength(80);
    const pairs = new Set(
      answers.map(({ status, body }) => `${status} ${answerSchema.parse(body).status}`),
    );
    const allowed = new Set(["200 OK", "502 FAILED", "504 FAILED"]);
    expect([...pairs].filter((pair) => !allowed.has(pair))).toEqual([]);
    expect([...pairs].some((pair) => pair.endsWith("FAILED"))).toBe(true);
    // It still runs, and is open to whoever comes next.
    expect((await fetch(`${app.url}/healthz`)).status).toBe(200);
    const state = (await (await fetch(`${app.url}/api/state`)).json()) as { inFlight: number };
    expect(state.inFlight).toBe(0);
  });
});
