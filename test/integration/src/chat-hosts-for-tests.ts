import type { Outcome, Switches } from "@sluice/contract";
import { chatGateway } from "@sluice/express";
import { fetchGateway, type ChatInput } from "@sluice/gateway";
import {
  createGuard,
  defineContract,
  defineTool,
  memoryAdmission,
  staticFlags,
  type MemoryAdmissionOptions,
} from "@sluice/guard";
import { openaiProvider } from "@sluice/providers";
import express from "express";
import { expect, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { startHeldUpstream, type HeldUpstream } from "./held-upstream-for-tests.ts";
import { fetchListener, sendResponse, serve } from "./serve-fetch-handler.ts";

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
  text: { field: "reply", maxChars: 16_000 },
});

const openingHours = defineTool({
  description: "When the shop is open",
  input: z.object({ day: z.string() }),
  run: ({ day }) => ({ day, opens: "9:00" }),
});

export interface ChatSetting {
  readonly admission?: MemoryAdmissionOptions;
  readonly switches?: Partial<Switches>;
  readonly meta?: boolean;
  readonly reasoning?: boolean;
}

/** Refuses whom its limits would refuse. */
export const enforced: Partial<Switches> = {
  FF_ADMISSION_ENFORCE: true,
  ADMISSION_ENFORCE_USER_INFLIGHT: true,
  ADMISSION_ENFORCE_GLOBAL_MSG_RATE: true,
};

/** The application's part, whatever its host. */
export function chatParts(upstream: HeldUpstream, setting: ChatSetting) {
  const guard = createGuard({
    feature: "chat",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: (_chat: ChatInput) => ({ status: "STUB", reply: "the stub" }),
    provider: openaiProvider({
      model: "gpt-4o-mini",
      apiKey: "sk-test",
      baseUrl: upstream.url,
      prompt: ({ messages }: ChatInput) => messages,
    }),
    flags: staticFlags(
      { chat: { enabled: true } },
      { switches: { FF_CHAT_GATEWAY_ENABLED: true, ...setting.switches } },
    ),
    onFailure: "failed",
    retry: { maxRetries: 0 },
    // Tests answer in their own time.
    firstContentTimeoutMs: 60_000,
    chunkTimeoutMs: 60_000,
    timeoutMs: 60_000,
    tools: { opening_hours: openingHours },
    stream: { reasoning: setting.reasoning ?? false },
    openTelemetry: false,
    sinks: [() => undefined],
    ...(setting.admission && { admission: memoryAdmission(setting.admission) }),
  });
  onTestFinished(() => guard.close());
  const outcomes: Outcome<unknown, unknown, unknown>[] = [];
  const options = {
    guard,
    subject: () => "ann",
    meta: setting.meta ?? false,
    onOutcome: (outcome: Outcome<unknown, unknown, unknown>) => void outcomes.push(outcome),
  };
  return { guard, outcomes, options };
}

export type ChatParts = ReturnType<typeof chatParts>;

/** What answered before there was a gateway: it reads the body, and speaks as its clients do. */
export type LegacyChat = (request: Request) => Promise<Response>;

/** Serves an application's chat, at the paths of both clients. */
export type ChatHost = (parts: ChatParts, legacy: LegacyChat) => Promise<ServedChat>;

export interface ServedChat {
  readonly url: string;
  readonly drain: (options: { readonly deadlineMs: number }) => Promise<void>;
}

export const expressHost: ChatHost = async ({ options }, legacy) => {
  const gateway = chatGateway({
    ...options,
    async legacy(req, res) {
      const chunks: Buffer[] = [];
      for await (const chunk of req) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks).toString();
      await sendResponse(await legacy(new Request("http://app/", { method: "POST", body })), res);
    },
  });
  const app = express();
  app.post(["/api/chat", "/api/openai/chat/completions"], gateway);
  return { url: await serve(app), drain: gateway.drain };
};

export const fetchHost: ChatHost = async ({ options }, legacy) => {
  const handler = fetchGateway({ ...options, legacy });
  return { url: await serve(fetchListener(handler)), drain: (by) => handler.gateway.drain(by) };
};

/** An application on a host, its upstream in the test's hands. */
export async function openChatServer(
  host: ChatHost,
  legacy: LegacyChat,
  setting: ChatSetting = {},
) {
  const upstream = await startHeldUpstream();
  const parts = chatParts(upstream, setting);
  const served = await host(parts, legacy);
  return {
    ...served,
    upstream,
    guard: parts.guard,
    outcomes: parts.outcomes,
    /** Resolves once nothing is held any more. */
    idle: () =>
      vi.waitFor(() => expect(parts.guard.inFlight).toBe(0), { interval: 5, timeout: 10_000 }),
  };
}
