import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  chatCompletion,
  sendJson,
  startProcess,
  startUpstream,
  type RunningProcess,
  type Upstream,
  type UpstreamAnswer,
} from "@sluice/testkit";
import { chromium, type Browser, type Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { findChromium } from "./find-chromium.ts";

const executablePath = findChromium();
const main = fileURLToPath(new URL("../../../apps/chat-express/src/main.ts", import.meta.url));

/** Where there is no Chromium a suite is skipped, but never where everything is to be checked. */
export const lacksChromium = executablePath === undefined && process.env["CI"] !== "true";

export const launchChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: executablePath ?? "chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });

export const open = "FF_CHAT_GATEWAY_ENABLED=true\nFEATURE_CHAT_AI=true\nCHAT_AI_KILL=false\n";

export const answering =
  (reply: string): UpstreamAnswer =>
  (res) =>
    sendJson(res, chatCompletion(reply));

/** One frame of a streamed completion, as OpenAI sends it. */
export const frame = (delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

/** Begins a stream with these words, and leaves it open. */
export const flowing =
  (words: string): UpstreamAnswer =>
  (res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write(frame({ content: words }));
  };

export interface OpenPage {
  readonly page: Page;
  readonly upstream: Upstream;
  readonly app: RunningProcess;
  /** What the page and the browser complained of. */
  readonly complaints: readonly string[];
  readonly editFlags: (text: string) => Promise<void>;
  readonly readFlags: () => Promise<string>;
}

/** The chat page of an app, a process of its own, for the length of one test. */
export async function openChatPage(
  browser: Browser,
  {
    flags = open,
    env = {},
    viewport = { width: 900, height: 700 },
  }: {
    readonly flags?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly viewport?: { readonly width: number; readonly height: number };
  } = {},
): Promise<OpenPage> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-page-"));
  const flagsFile = join(folder, "flags.env");
  await writeFile(flagsFile, flags);
  const upstream = await startUpstream(answering("Seven days a week."));
  const app = startProcess(main, {
    env: {
      PORT: "0",
      SLUICE_FLAGS_FILE: flagsFile,
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: `${upstream.url}/v1`,
      ...env,
    },
  });
  const page = await browser.newPage({ viewport });
  onTestFinished(async () => {
    await page.close();
    await app.kill();
    await upstream.close();
    await rm(folder, { recursive: true });
  });
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  const [, url = ""] = await app.printed(/listens on (\S+)/);
  await page.goto(url);
  return {
    page,
    upstream,
    app,
    complaints,
    editFlags: async (text) => {
      await writeFile(`${flagsFile}.new`, text);
      await rename(`${flagsFile}.new`, flagsFile);
    },
    readFlags: () => readFile(flagsFile, "utf8"),
  };
}

/** Resolves once the line under the title says so. */
export const state = (page: Page, text: string): Promise<void> =>
  page.getByRole("status").filter({ hasText: text }).waitFor();

/** Types a message and reads the answer: the path that gave it, why, and its text. */
export async function say(page: Page, text: string) {
  const answers = page.locator(".answer:has(.path)");
  const before = await answers.count();
  await page.getByLabel("Your message").fill(text);
  await page.keyboard.press("Enter");
  const answer = answers.nth(before);
  await answer.waitFor();
  return {
    path: await answer.locator(".path").textContent(),
    why: await answer.locator(".why").textContent(),
    text: await answer.textContent(),
  };
}

/** What stands beside a word of the panel's lists. */
export const untilBeside = (page: Page, term: string, text: string | RegExp): Promise<void> =>
  page.locator(`dt:text-is("${term}") + dd`).filter({ hasText: text }).waitFor();
