import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startUpstream, type UpstreamAnswer } from "@sluice/testkit";
import OpenAI from "openai";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { buildChatNext, startChatNext } from "./chat-next-app.ts";
import { findChromium } from "./find-chromium.ts";

const executablePath = findChromium();
const inCi = process.env["CI"] === "true";

const open = `FF_CHAT_GATEWAY_ENABLED=true
FEATURE_CHAT_AI=true
CHAT_AI_KILL=false
FF_ADMISSION_ENFORCE=true
ADMISSION_ENFORCE_USER_INFLIGHT=true
`;

/** One frame of a streamed completion, as OpenAI sends it. */
const frame = (delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

type Res = Parameters<UpstreamAnswer>[0];

const begin = (res: Res, text: string): void => {
  res.writeHead(200, { "content-type": "text/event-stream" });
  res.write(frame({ content: text }));
};
const end = (res: Res, text: string): void => {
  res.write(frame({ content: text }));
  res.end(frame({}, "stop"));
};
const answering =
  (text: string): UpstreamAnswer =>
  (res) => {
    begin(res, "");
    end(res, text);
  };

const byDefault = answering("Seven days a week.");

/** The app, with a model that a test plays. */
async function started(flags: string, env: Readonly<Record<string, string>> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "sluice-next-page-"));
  const flagsFile = join(folder, "flags.env");
  await writeFile(flagsFile, flags);
  const upstream = await startUpstream(byDefault);
  const app = await startChatNext({
    SLUICE_FLAGS_FILE: flagsFile,
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: `${upstream.url}/v1`,
    ...env,
  });
  return {
    upstream,
    app,
    editFlags: async (text: string): Promise<void> => {
      await writeFile(`${flagsFile}.new`, text);
      await rename(`${flagsFile}.new`, flagsFile);
    },
    stop: async (): Promise<void> => {
      await app.kill();
      await upstream.close();
      await rm(folder, { recursive: true });
    },
  };
}

type Started = Awaited<ReturnType<typeof started>>;

/** For all tests that leave the flags, and the app, as they are. */
let standing: Started | undefined;

/** The standing app, or with flags one of the test's own. */
async function running(
  flags?: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const parts =
    flags === undefined ? (standing ??= await started(open)) : await started(flags, env);
  onTestFinished(async () => {
    if (parts !== standing) await parts.stop();
    else parts.upstream.answerWith(byDefault);
  });
  return parts;
}

const state = (page: Page, text: string): Promise<void> =>
  page.getByRole("status").filter({ hasText: text }).waitFor();

const ask = async (page: Page, text: string): Promise<void> => {
  await page.getByLabel("Your message").fill(text);
  await page.keyboard.press("Enter");
};

/** Waits for the last answer to have such a text, and returns which path gave it. */
async function answered(page: Page, text: string | RegExp): Promise<string> {
  const answer = page.locator(".answer:has(.path)").filter({ hasText: text }).last();
  await answer.waitFor();
  return answer.locator(".path").innerText();
}

const trouble = (page: Page): Promise<string> => page.locator(".trouble").innerText();

/** The screen as a person sees it, for whoever wants to look. */
const shot = (page: Page, name: string): Promise<unknown> =>
  page.screenshot({ path: join(tmpdir(), `sluice-chat-next-${name}.png`) });

beforeAll(() => buildChatNext(), 600_000);
afterAll(() => standing?.stop());

const killed = open.replace("CHAT_AI_KILL=false", "CHAT_AI_KILL=true");
const asked = {
  id: "chat",
  trigger: "submit-message",
  messages: [{ id: "1", role: "user", parts: [{ type: "text", text: "When are you open?" }] }],
};
const post = (url: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${url}/api/chat`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(asked),
    ...init,
  });

/** What a body still brings. */
async function rest(reader: ReadableStreamDefaultReader<string> | undefined): Promise<string> {
  const read = await reader?.read();
  return read === undefined || read.done ? "" : read.value + (await rest(reader));
}

const failedEnd =
  /data: \{"type":"error","errorText":"[^"]+"\}\s+data: \{"type":"finish-step"\}\s+data: \{"type":"finish","finishReason":"error"[^\n]*\s+data: \[DONE\]\s*$/;

describe("the Next app on the wire", { timeout: 60_000 }, () => {
  it("sends each piece as it comes, packed or not, and ends with [DONE]", async () => {
    const { app, upstream } = await running();
    for (const encoding of ["identity", "gzip"]) {
      let goOn: (() => void) | undefined;
      upstream.answerWith((res) => {
        begin(res, "Seven ");
        goOn = () => end(res, "days.");
      });
      const response = await post(app.url, {
        headers: { "content-type": "application/json", "accept-encoding": encoding },
      });
      expect(response.headers.get("x-vercel-ai-ui-message-stream")).toBe("v1");
      expect(response.headers.get("sluice-path")).toBe("ai");
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      let wire = "";
      while (!wire.includes('"delta":"Seven "')) wire += (await reader?.read())?.value;
      goOn?.();
      wire += await rest(reader);
      expect(wire).toMatch(/"type":"finish","finishReason":"stop"[^\n]*\s+data: \[DONE\]\s*$/);
    }
  });

  it("I13 ends a stream that is cut or killed as one that failed", async () => {
    const { app, upstream, editFlags } = await running(open);
    let cut: (() => void) | undefined;
    upstream.answerWith((res) => {
      begin(res, "We open at");
      cut = () => void res.socket?.destroy();
    });
    const reader = (await post(app.url)).body?.pipeThrough(new TextDecoderStream()).getReader();
    let wire = "";
    while (!wire.includes("We open at")) wire += (await reader?.read())?.value;
    cut?.();
    expect(wire + (await rest(reader))).toMatch(failedEnd);

    upstream.answerWith((res) => begin(res, "We open at"));
    const response = await post(app.url);
    await editFlags(killed);
    expect(await response.text()).toMatch(failedEnd);
    await upstream.settled();
    // The legacy handler finds its body unread.
    const diverted = await post(app.url);
    expect(diverted.headers.get("sluice-path")).toBe("legacy");
    expect(await diverted.text()).toContain("A person answers within a day");
  });

  it("answers an OpenAI client that is given its address, whole and as it flows", async () => {
    const { app, upstream } = await running();
    upstream.answerWith(byDefault);
    const client = new OpenAI({ apiKey: "any", baseURL: `${app.url}/api/openai`, maxRetries: 0 });
    const question = {
      model: "any",
      messages: [{ role: "user" as const, content: "When are you open?" }],
    };
    const { choices } = await client.chat.completions.create(question);
    expect(choices[0]?.message.content).toBe("Seven days a week.");
    let text = "";
    let finish: string | null | undefined;
    for await (const chunk of await client.chat.completions.create({ ...question, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    expect({ text, finish }).toEqual({ text: "Seven days a week.", finish: "stop" });
  });

  it("I4 ends the model's call when the client leaves", async () => {
    const { app, upstream } = await running();
    upstream.answerWith((res) => begin(res, "We open at"));
    const client = new AbortController();
    const response = await post(app.url, { signal: client.signal });
    const reader = response.body?.getReader();
    await reader?.read();
    client.abort();
    await upstream.settled();
    expect(upstream.open).toBe(0);
  });

  it("leaves the legacy handler's answer as it is while the gateway is off or looks on", async () => {
    const { app, editFlags, upstream } = await running("FEATURE_CHAT_AI=true\n");
    const seen = async (): Promise<unknown> => {
      const response = await post(app.url);
      const headers = [...response.headers].filter(([name]) => name !== "date");
      // The handler gives each message an id of its own.
      const body = (await response.text()).replace(/"messageId":"\w+"/, "");
      return [response.status, headers, body];
    };
    const off = await seen();
    expect(String(off)).not.toContain("sluice");
    await editFlags(
      "FEATURE_CHAT_AI=true\nFF_CHAT_GATEWAY_ENABLED=true\nFF_CHAT_GATEWAY_SHADOW=true\n",
    );
    for (let i = 0; i < 20; i += 1) expect(await seen()).toEqual(off);
    expect(upstream.requests).toHaveLength(0);
  });

  it("at SIGTERM lets answers under way end, each by the deadline with its terminal event", async () => {
    const { app, upstream } = await running(open, { SHUTDOWN_DEADLINE_MS: "1500" });
    let goOn: (() => void) | undefined;
    upstream.answerWith((res) => {
      begin(res, "Seven ");
      goOn = () => end(res, "days.");
    });
    const quick = await post(app.url);
    upstream.answerWith((res) => begin(res, "Well, "));
    const endless = await post(app.url);
    app.signal("SIGTERM");
    // Next closes its door, or the gateway says 503: nobody new is let in.
    await vi.waitFor(
      async () =>
        expect(
          await post(app.url).then(
            ({ status }) => status,
            () => 503,
          ),
        ).toBe(503),
      { timeout: 1000, interval: 10 },
    );
    goOn?.();
    expect(await quick.text()).toMatch(/"delta":"days\."[^]*data: \[DONE\]\s*$/);
    expect(await endless.text()).toMatch(failedEnd);
    expect(await app.ended).toEqual({ code: 143, signal: null });
    await upstream.settled();
  });
});

// Where there is no Chromium the suite is skipped, but never where everything is to be checked.
const skipped = executablePath === undefined && !inCi;
describe.skipIf(skipped)("the chat page of the Next app", { timeout: 60_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: executablePath ?? "chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    });
  }, 30_000);
  afterAll(async () => {
    await browser?.close();
  });

  async function opened(flags?: string) {
    const parts = await running(flags);
    // A context of its own is a visitor of its own.
    const context = await browser.newContext({ viewport: { width: 900, height: 700 } });
    onTestFinished(() => context.close());
    const page = await context.newPage();
    /** What the browser complained of. */
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(parts.app.url);
    await state(page, "Ready");
    return { ...parts, page, complaints };
  }

  it("shows the answer as it flows, and who gave it", async () => {
    const { page, upstream, complaints } = await opened();
    let goOn: (() => void) | undefined;
    upstream.answerWith((res) => {
      begin(res, "Seven ");
      goOn = () => end(res, "days a week.");
    });
    await ask(page, "When are you open?");
    await page
      .locator(".answer")
      .filter({ hasText: /^Seven …$/ })
      .waitFor();
    await state(page, "Answering…");
    goOn?.();
    expect(await answered(page, /Seven days a week\.\s*AI by openai/)).toBe("AI");
    await state(page, "Ready");
    await shot(page, "answer");
    expect(complaints).toEqual([]);
  });

  it("waits for a first word that is slow", async () => {
    const { page, upstream } = await opened();
    let goOn: (() => void) | undefined;
    upstream.answerWith((res) => {
      goOn = () => answering("Here I am.")(res, upstream.requests[0] as never);
    });
    await ask(page, "Are you there?");
    await state(page, "Waiting for the answer…");
    expect(await page.getByRole("button", { name: "Stop" }).isVisible()).toBe(true);
    await vi.waitFor(() => expect(goOn).toBeDefined(), { timeout: 10_000 });
    goOn?.();
    expect(await answered(page, "Here I am.")).toBe("AI");
    await state(page, "Ready");
  });

  it("stops when it is told to, and the model's call with it", async () => {
    const { page, upstream, complaints } = await opened();
    upstream.answerWith((res) => begin(res, "On Sundays we"));
    await ask(page, "And on Sundays?");
    await page.locator(".answer").filter({ hasText: "On Sundays we" }).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    expect(await answered(page, "On Sundays we")).toBe("stopped");
    await state(page, "Ready");
    await upstream.settled();
    upstream.answerWith(answering("Again."));
    await ask(page, "Hello?");
    expect(await answered(page, "Again.")).toBe("AI");
    expect(complaints).toEqual([]);
  });

  it("says that the feature was turned off in the middle of an answer, then asks the legacy handler", async () => {
    const { page, upstream, editFlags } = await opened(open);
    upstream.answerWith((res) => begin(res, "On Sundays we"));
    await ask(page, "And on Sundays?");
    await page.locator(".answer").filter({ hasText: "On Sundays we" }).waitFor();
    await editFlags(killed);
    expect(await answered(page, "On Sundays we")).toBe("incomplete");
    await state(page, "The last answer failed");
    expect(await trouble(page)).toMatch(/turned off while the answer was being written/);
    await shot(page, "killed");
    await upstream.settled();

    await ask(page, "What does it cost?");
    expect(await answered(page, "Billing")).toBe("legacy handler");
    expect(await page.locator(".trouble").count()).toBe(0);
    expect(upstream.requests).toHaveLength(1);
  });

  it.each<[string, (res: Res) => void, RegExp]>([
    [
      "an upstream that cuts the answer",
      (res) => res.socket?.destroy(),
      /connection to the AI service broke/,
    ],
    [
      "an upstream that fails in the middle",
      (res) => res.end(`data: ${JSON.stringify({ error: { message: "no", code: 500 } })}\n\n`),
      /could not be reached|broke/,
    ],
  ])("says what became of an answer: %s", async (_what, cut, sentence) => {
    const { page, upstream } = await opened();
    let goOn: (() => void) | undefined;
    upstream.answerWith((res) => {
      begin(res, "We open at");
      goOn = () => cut(res);
    });
    await ask(page, "When?");
    await page.locator(".answer").filter({ hasText: "We open at" }).waitFor();
    goOn?.();
    expect(await answered(page, "We open at")).toBe("incomplete");
    expect(await trouble(page)).toMatch(sentence);
    await state(page, "The last answer failed");
    upstream.answerWith(answering("At nine."));
    await ask(page, "When?");
    expect(await answered(page, "At nine.")).toBe("AI");
  });

  it("says that a person asks too much at a time", async () => {
    const { page, upstream, app } = await opened();
    const waiting: Res[] = [];
    upstream.answerWith((res) => {
      begin(res, "Well, ");
      waiting.push(res);
    });
    const tabs = [page, await page.context().newPage()];
    for (const tab of tabs) {
      await tab.goto(app.url);
      await ask(tab, "A long question");
      await tab.locator(".answer").filter({ hasText: "Well," }).waitFor();
    }
    const third = await page.context().newPage();
    await third.goto(app.url);
    await ask(third, "One more");
    await third.locator(".trouble").waitFor();
    expect(await trouble(third)).toMatch(
      /^Another answer is still being written for you\. Try again in \d+ seconds?\.$/,
    );
    await state(third, "The last answer failed");
    await shot(third, "too-many");
    for (const res of waiting) end(res, "that is all.");
    await state(page, "Ready");
    upstream.answerWith(answering("Yes."));
    await ask(third, "One more");
    expect(await answered(third, "Yes.")).toBe("AI");
  });

  it("leaves the answer to the legacy handler while the gateway is off", async () => {
    const { page, upstream, complaints } = await opened("FEATURE_CHAT_AI=true\n");
    await ask(page, "Hello");
    expect(await answered(page, "Ask about billing")).toBe("legacy handler");
    await state(page, "Ready");
    expect(upstream.requests).toHaveLength(0);
    expect(complaints).toEqual([]);
  });

  it("says when the server is gone", async () => {
    const { page, app } = await opened(open);
    await app.kill();
    await ask(page, "Anybody?");
    await page.locator(".trouble").waitFor();
    expect(await trouble(page)).toBe("The server can't be reached. Please try again.");
    await state(page, "The last answer failed");
  });

  it("fits a small screen, shows markup as text, and is reached by keyboard", async () => {
    const { page, upstream, complaints } = await opened();
    const markup = "<img src=x onerror=\"document.title='owned'\">";
    upstream.answerWith(answering(`${markup} ${"x".repeat(200)}`));
    await page.setViewportSize({ width: 320, height: 560 });
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.locator("input:focus").waitFor();
    await page.keyboard.type(markup);
    await page.keyboard.press("Enter");
    expect(await answered(page, markup)).toBe("AI");
    expect(await page.locator("main img").count()).toBe(0);
    expect(await page.title()).toBe("Guarded chat");
    await shot(page, "small");
    for (const part of ["header", "main", "form", "form button"]) {
      const box = await page.locator(part).boundingBox();
      expect(Number(box?.x), part).toBeGreaterThanOrEqual(0);
      expect(Number(box?.x) + Number(box?.width), part).toBeLessThanOrEqual(320);
      expect(Number(box?.y) + Number(box?.height), part).toBeLessThanOrEqual(560);
    }
    expect(complaints).toEqual([]);
  });
});
