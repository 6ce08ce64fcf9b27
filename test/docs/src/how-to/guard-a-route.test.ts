import { FailureCode } from "@sluice/contract";
import { createGuard, staticFlags } from "@sluice/guard";
import {
  chatCompletion,
  sampleAnswer,
  sampleFeature,
  sendJson,
  startUpstream,
  type Upstream,
} from "@sluice/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { ask, fetchText } from "../ask.ts";
import { guardModel, serve, type Model } from "./guard-a-route.ts";

let upstream: Upstream;

beforeAll(async () => {
  upstream = await startUpstream((res) =>
    sendJson(res, chatCompletion(JSON.stringify({ status: "OK", reply: "In the drawer." }))),
  );
});

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(async () => {
  await upstream.close();
});

/** The page's application, with the flags of its feature. */
function serveWith(flags: Readonly<Record<string, string>>): ReturnType<typeof serve> {
  const environment = { OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: upstream.url, ...flags };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  return serve({
    userOf: () => ({ id: "user-1", plan: "pro" }),
    cannedReply: () => "canned",
    legacyHandler: (_req, res) => void res.json("legacy"),
    yourHandler: (_req, res) => void res.json("yours"),
  });
}

const on = { FEATURE_HELP_AI: "true" };
const killed = { ...on, HELP_AI_KILL: "true" };

describe("the route of the page", () => {
  it.each([
    ["off", {}, { status: "STUB", reply: "canned" }],
    ["on", on, { status: "OK", reply: "In the drawer." }],
    ["killed", killed, { status: "STUB", reply: "canned" }],
  ])("answers while the feature is %s", async (_, flags, body) => {
    const { app } = serveWith(flags);
    expect(await ask(app, "/api/help", { text: "Where is the key?" })).toMatchObject({ body });
  });

  it("answers a wrong body with problem details", async () => {
    const { status, type } = await ask(serveWith(on).app, "/api/help", { txt: "?" });
    expect({ status, type }).toEqual({ status: 400, type: "application/problem+json" });
  });

  it("answers a failure with the FAILED value and 502", async () => {
    vi.stubEnv("OPENAI_BASE_URL", "http://127.0.0.1:1");
    const { app } = serveWith({ ...on, OPENAI_BASE_URL: "http://127.0.0.1:1" });
    expect(await ask(app, "/api/help", { text: "Where is the key?" })).toMatchObject({
      status: 502,
      body: { status: "FAILED", code: FailureCode.PROVIDER_UNAVAILABLE },
    });
  });
});

describe("the operators' routes of the page", () => {
  it("show the state and shut the feature in this process", async () => {
    const { app, guard } = serveWith(on);
    expect(String(guard.describe())).toMatch(/^feature help_ai: open at 100 %\n/);
    await ask(app, "/ops/help_ai/kill", {});
    const shown = await fetchText(app, "/ops/help_ai");
    expect(shown).toMatch(/^feature help_ai: shut, KILLED\n/);
    expect(await ask(app, "/api/help", { text: "Where is the key?" })).toMatchObject({
      body: { status: "STUB" },
    });
  });
});

describe("the cards of the page", () => {
  it.each([
    ["off", {}, "legacy"],
    ["on", on, "yours"],
    ["killed", killed, "legacy"],
    ["at 0 percent", { ...on, HELP_AI_ROLLOUT_PERCENT: "0" }, "legacy"],
    ["at 1 percent", { ...on, HELP_AI_ROLLOUT_PERCENT: "1" }, "legacy"],
  ])("lead to the right handler while the feature is %s", async (_, flags, body) => {
    expect((await ask(serveWith(flags).app, "/api/chat", {})).body).toBe(body);
  });
});

describe("the guarded function of the page", () => {
  it("gives its JSON and its usage, and obeys the signal", async () => {
    const asked: Parameters<Model["ask"]>[] = [];
    const provider = guardModel({
      async ask(...call) {
        asked.push(call);
        return { json: JSON.stringify(sampleAnswer), tokensIn: 3, tokensOut: 5 };
      },
    });
    const guard = createGuard({
      ...sampleFeature,
      stub: () => ({ status: "STUB", text: "the safe path" }),
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      budget: { callsPerRun: 1, maxOutputTokens: 80 },
    });
    const outcome = await guard.run({ prompt: "hello" }, { subject: "job-1" });
    expect(outcome).toMatchObject({
      status: "SUCCEEDED",
      value: sampleAnswer,
      record: { usage: { inputTokens: 3, outputTokens: 5 } },
    });
    expect(asked).toEqual([["hello", { signal: expect.any(AbortSignal) as unknown, max: 80 }]]);
  });
});
