import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startProcess, type RunningProcess } from "@sluice/testkit";
import { onTestFinished } from "vitest";
import { z } from "zod";

const main = fileURLToPath(new URL("../../../apps/chat-express/src/main.ts", import.meta.url));

/** Flags with everything open. */
export const openFlags = [
  "FF_CHAT_GATEWAY_ENABLED=true",
  "FEATURE_CHAT_AI=true",
  "CHAT_AI_KILL=false",
  "CHAT_AI_ROLLOUT_PERCENT=100",
  "",
].join("\n");

/** What `/api/chat` may answer while the gateway is on, as its callers know it. */
export const answerSchema = z.discriminatedUnion("status", [
  z.strictObject({ status: z.literal("OK"), reply: z.string().min(1) }),
  z.strictObject({ status: z.literal("FAILED"), code: z.string().regex(/^[A-Z_]+$/) }),
]);

export const problemSchema = z.object({ type: z.string(), title: z.string(), status: z.int() });

export interface ChatAnswer {
  readonly status: number;
  readonly path: string | null;
  readonly decision: string | null;
  readonly contentType: string;
  readonly body: unknown;
}

/** The chat app as people run it: a process of its own. */
export interface ChatApp {
  readonly url: string;
  readonly process: RunningProcess;
  chat(content: string, headers?: Readonly<Record<string, string>>): Promise<ChatAnswer>;
  /** Replaces the flags file, by rename. */
  editFlags(text: string): Promise<void>;
  /** Resolves when a request takes this path: `ai`, `legacy` where the gateway handed over, or null where it is off. */
  untilPath(path: string | null): Promise<void>;
}

/** Starts it for the length of one test. */
export async function startChatApp(options: {
  readonly upstreamUrl: string;
  readonly flags: string;
  readonly env?: Readonly<Record<string, string>>;
}): Promise<ChatApp> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-chat-"));
  const flagsFile = join(folder, "flags.env");
  await writeFile(flagsFile, options.flags);
  const started = startProcess(main, {
    env: {
      PORT: "0",
      SLUICE_FLAGS_FILE: flagsFile,
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: `${options.upstreamUrl}/v1`,
      ...options.env,
    },
  });
  onTestFinished(async () => {
    await started.kill();
    await rm(folder, { recursive: true });
  });
  const [, url = ""] = await started.printed(/listens on (\S+)/);

  const chat: ChatApp["chat"] = async (content, headers) => {
    const response = await fetch(`${url}/api/chat`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ messages: [{ role: "user", content }] }),
    });
    return {
      status: response.status,
      path: response.headers.get("sluice-path"),
      decision: response.headers.get("sluice-decision"),
      contentType: response.headers.get("content-type") ?? "",
      body: await response.json(),
    };
  };

  return {
    url,
    process: started,
    chat,
    async editFlags(text) {
      await writeFile(`${flagsFile}.new`, text);
      await rename(`${flagsFile}.new`, flagsFile);
    },
    async untilPath(path) {
      // A young flags file opens nothing before it has stood for a moment.
      const giveUpMs = performance.now() + 5000;
      while ((await chat("Hello")).path !== path) {
        if (performance.now() > giveUpMs) throw new Error(`the app does not take the path ${path}`);
      }
    },
  };
}

/** Does the same with each item, so many at once; the results are in the items' order. */
export async function forEachAtOnce<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const queue = items.entries();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const [index, item] of queue) results[index] = await work(item);
    }),
  );
  return results;
}
