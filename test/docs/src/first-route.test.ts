import { LLMock } from "@copilotkit/aimock";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { ask } from "./ask.ts";
import { plant } from "./plant.ts";
import { readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const readme = readText("README.md");
const program = readText("test/docs/src/first-route.ts");

/** The program that README shows first. */
function shownIn(page: string): string | undefined {
  return readPage(page).blocks.find(({ language }) => language === "ts")?.text;
}

describe("README's first guarded route", () => {
  it("is the program that is compiled and served here", () => {
    expect(shownIn(readme)).toBe(program.trimEnd());
    expect(shownIn(plant(readme, "envFlags(),", "envFlags({}),"))).not.toBe(program.trimEnd());
  });

  it("has the 20 lines that README says it has", () => {
    expect(readme).toMatch(/^## .* 20 lines$/m);
    expect(program.split("\n").filter((line) => line !== "")).toHaveLength(20);
  });
});

describe("the first guarded route, served", () => {
  const upstream = new LLMock({ host: "127.0.0.1", port: 0 });
  upstream.onMessage(/[^]*/, {
    content: JSON.stringify({ status: "OK", reply: "In the drawer." }),
  });
  const stub = { path: "stub", body: { status: "OK", reply: "A person will answer you today." } };
  const answer = { path: "ai", body: { status: "OK", reply: "In the drawer." } };

  beforeAll(async () => {
    await upstream.start();
    vi.stubEnv("OPENAI_API_KEY", "sk-test");
    vi.stubEnv("OPENAI_BASE_URL", `${upstream.url}/v1`);
  });

  afterEach(() => {
    for (const name of ["FEATURE_FAQ_AI", "FAQ_AI_KILL", "FAQ_AI_ROLLOUT_PERCENT"]) {
      vi.stubEnv(name, undefined);
    }
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    await upstream.stop();
  });

  it("answers with the stub until somebody says otherwise", async () => {
    expect(await askTheRoute()).toEqual(stub);
    expect(upstream.getRequests()).toEqual([]);
  });

  it("answers with the model's answer once FEATURE_FAQ_AI is exactly true", async () => {
    vi.stubEnv("FEATURE_FAQ_AI", "false");
    expect(await askTheRoute()).toEqual(stub);
    vi.stubEnv("FEATURE_FAQ_AI", "true");
    expect(await askTheRoute()).toEqual(answer);
  });

  it("is shut by FAQ_AI_KILL", async () => {
    vi.stubEnv("FEATURE_FAQ_AI", "true");
    vi.stubEnv("FAQ_AI_KILL", "true");
    expect(await askTheRoute()).toEqual(stub);
  });

  it("lets nobody in at FAQ_AI_ROLLOUT_PERCENT=0", async () => {
    vi.stubEnv("FEATURE_FAQ_AI", "true");
    vi.stubEnv("FAQ_AI_ROLLOUT_PERCENT", "0");
    expect(await askTheRoute()).toEqual(stub);
  });
});

async function askTheRoute(): Promise<unknown> {
  const { app } = await import("./first-route.ts");
  const { status, headers, body } = await ask(app, "/api/faq", { text: "Where is the key?" });
  expect(status).toBe(200);
  return { path: headers["sluice-path"], body };
}
