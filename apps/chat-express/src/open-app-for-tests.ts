import { randomUUID } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "@sluice/contract";
import { flagFile, systemClock } from "@sluice/guard";
import { chatCompletion, sendJson, startUpstream, type UpstreamAnswer } from "@sluice/testkit";
import type { Express } from "express";
import request from "supertest";
import { expect, onTestFinished, vi } from "vitest";
import type { AppState } from "./app-state.ts";
import { chatGuard } from "./chat-guard.ts";
import { createApp } from "./create-app.ts";
import { createFlagsFile } from "./flags-file.ts";
import { liveCounts } from "./live-counts.ts";

/** The gateway answers, and the feature is open. */
export const on = "FF_CHAT_GATEWAY_ENABLED=true\nFEATURE_CHAT_AI=true\n";
export const good: UpstreamAnswer = (res) => sendJson(res, chatCompletion("from the model"));

/** So that a flags file has stood for long when it is read first, and counts at once. */
const anHourLater: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + 3_600_000 };

export interface OpenAppOptions {
  /** Undefined: there is no file. */
  readonly flags: string | undefined;
  readonly answer?: UpstreamAnswer | undefined;
  /** Of a second provider. */
  readonly secondAnswer?: UpstreamAnswer | undefined;
  /** Default 0. */
  readonly mirrorShare?: number | undefined;
}

/** The app over an upstream and a flags file of its own, for the length of one test. */
export async function openApp({ flags: text, answer = good, ...options }: OpenAppOptions) {
  const folder = await mkdtemp(join(tmpdir(), "sluice-app-"));
  const upstream = await startUpstream(answer);
  const second = options.secondAnswer && (await startUpstream(options.secondAnswer));
  const flagsFile = join(folder, `${randomUUID()}.env`);
  if (text !== undefined) await writeFile(flagsFile, text);
  const flags = flagFile(flagsFile, { clock: anHourLater, pollMs: 5, stableMs: 10 });
  const counts = liveCounts();
  const guard = chatGuard({
    flags,
    model: "gpt-4o-mini",
    timeoutMs: 2000,
    price: { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 },
    metrics: counts.metrics,
    apiKey: "sk-test",
    baseUrl: `${upstream.url}/v1`,
    custom: second && { baseUrl: `${second.url}/v1`, apiKey: undefined, model: "second" },
    sinks: [() => undefined],
  });
  const file = createFlagsFile(flagsFile);
  const parts = {
    guard,
    flags,
    flagsFile: file,
    killSwitch: file.killSwitch,
    counts,
    shadow: { mirrorShare: options.mirrorShare ?? 0, costNanoUsdPerDay: 1_000_000_000 },
    upstream: "test",
  };
  onTestFinished(async () => {
    guard.close();
    flags.close();
    await upstream.close();
    await second?.close();
    await rm(folder, { recursive: true });
  });
  return {
    ...createApp(parts),
    parts,
    flagsFile,
    upstream,
    edit: async (changed: string): Promise<void> => {
      await writeFile(`${flagsFile}.new`, changed);
      await rename(`${flagsFile}.new`, flagsFile);
    },
  };
}

export const stateOf = async (app: Express): Promise<AppState> =>
  (await request(app).get("/api/state")).body as AppState;

export const untilState = (app: Express, wanted: object): Promise<void> =>
  vi.waitFor(async () => expect(await stateOf(app)).toMatchObject(wanted), { interval: 5 });

export const chat = (app: Express, content = "Hello, how are you?") =>
  request(app)
    .post("/api/chat")
    .send({ messages: [{ role: "user", content }] });
