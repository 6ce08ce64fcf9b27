import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chatCompletion, sendJson, startUpstream, type UpstreamAnswer } from "@sluice/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { answerSchema, forEachAtOnce, openFlags, problemSchema, startChatApp } from "./chat-app.ts";

/** 509 strings that break software; kept beside the repository. */
const blns = fileURLToPath(new URL("../../../../shared/data/naughty/blns.json", import.meta.url));
const strings = existsSync(blns)
  ? z.array(z.string()).parse(JSON.parse(readFileSync(blns, "utf8")))
  : [];

const sentSchema = z.object({
  messages: z.array(z.object({ role: z.string(), content: z.string() })),
});

/** Answers with the prompt itself, so that each string also comes back through the contract. */
const echo: UpstreamAnswer = (res, { body }) => {
  const { messages } = sentSchema.parse(JSON.parse(body));
  const reply = messages.at(-1)?.content;
  sendJson(res, chatCompletion(reply));
};

const isHeaderValue = (text: string): boolean => /^[\t\x20-\x7e\x80-\xff]+$/.test(text);

const start = async () => {
  const upstream = await startUpstream(echo);
  onTestFinished(() => upstream.close());
  const app = await startChatApp({ upstreamUrl: upstream.url, flags: openFlags });
  await app.untilPath("ai");
  return app;
};

describe.skipIf(strings.length === 0)("naughty strings", { timeout: 20_000 }, () => {
  it("as prompts come back as they were, or are refused with a problem", async () => {
    const app = await start();
    const answers = await forEachAtOnce(strings, 8, (text) => app.chat(text));
    const sent = strings.map((text, index) => ({ text, answer: answers[index] }));
    for (const { text, answer } of sent.filter((one) => one.text !== "")) {
      expect(answer, text).toMatchObject({ status: 200, path: "ai" });
      expect(answerSchema.parse(answer?.body), text).toEqual({ status: "OK", reply: text });
    }
    const empty = sent.find(({ text }) => text === "")?.answer;
    expect(empty).toMatchObject({
      status: 400,
      contentType: "application/problem+json; charset=utf-8",
    });
    expect(problemSchema.parse(empty?.body).status).toBe(400);
    expect(app.process.stderr).toBe("");
  });

  it("as what tells visitors apart choose nobody's identity and break nothing", async () => {
    const app = await start();
    const cookies = strings.filter(isHeaderValue);
    expect(cookies.length).toBeGreaterThan(200);
    const answers = await forEachAtOnce(cookies, 8, (text) =>
      app.chat("Hello", { cookie: `visitor=${text}` }),
    );
    expect(answers.map(({ body }) => answerSchema.parse(body).status)).toEqual(
      cookies.map(() => "OK"),
    );
    expect(app.process.stderr).toBe("");
  });

  it("as ids of decisions are unknown", async () => {
    const app = await start();
    const statuses = await forEachAtOnce(strings, 8, async (text) => {
      const id = encodeURIComponent(text.toWellFormed());
      return (await fetch(`${app.url}/api/decisions/${id}`)).status;
    });
    expect(new Set(statuses)).toEqual(new Set([404]));
    expect(app.process.stderr).toBe("");
  });

  it("as the list of subjects permit nobody else and forge no line of the log", async () => {
    const app = await start();
    const list = strings.map((text) => text.replaceAll(/[\r\n]/g, " ")).join(",");
    await app.editFlags(`${openFlags}CHAT_AI_ALLOWLIST='${list.replaceAll("'", "")}'\n`);
    await app.untilPath("legacy");
    expect((await fetch(`${app.url}/healthz`)).status).toBe(200);
    for (const line of app.process.stderr.split("\n").filter((text) => text !== "")) {
      expect(() => JSON.parse(line) as unknown).not.toThrow();
    }
  });
});
