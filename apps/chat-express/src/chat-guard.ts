import type { EventSink, FlagSource } from "@sluice/contract";
import { createGuard, memoryAdmission, type Guard } from "@sluice/guard";
import { customProvider, openaiProvider } from "@sluice/providers";
import type { z } from "zod";
import { chatContract, type ChatRequest } from "./chat-contract.ts";
import { legacyReply } from "./legacy-chat.ts";

export type ChatGuard = Guard<
  ChatRequest,
  z.output<typeof chatContract.ok>,
  z.output<typeof chatContract.failed>,
  z.output<typeof chatContract.stub>
>;

export interface ChatGuardOptions {
  readonly flags: FlagSource;
  readonly model: string;
  readonly timeoutMs: number;
  readonly apiKey: string | undefined;
  readonly baseUrl: string | undefined;
  /** A second host, which stands in where the first fails and `FF_PROVIDER_FAILOVER_ENABLED` is true. */
  readonly custom: CustomHost | undefined;
  readonly sinks: readonly EventSink[];
}

export interface CustomHost {
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly model: string;
}

const instructions =
  "You are the help desk of a small shop. Answer in plain text, in a few sentences.";

const prompt = ({ messages }: ChatRequest) => [
  { role: "system" as const, content: instructions },
  ...messages,
];

export function chatGuard(options: ChatGuardOptions): ChatGuard {
  const { flags, model, timeoutMs, apiKey, baseUrl, custom, sinks } = options;
  const openai = openaiProvider({ model, apiKey, baseUrl, prompt });
  return createGuard({
    feature: "chat_ai",
    contract: chatContract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: (chat: ChatRequest) => ({ status: "STUB", reply: legacyReply(chat) }),
    route: {
      providers:
        custom === undefined
          ? [openai]
          : [openai, customProvider({ name: "custom", ...custom, prompt })],
      candidates: [
        { provider: "openai", isDefault: true },
        ...(custom === undefined ? [] : [{ provider: "custom" }]),
      ],
    },
    flags,
    budget: { callsPerRun: 4, tokensPerRun: 8_000_000, maxOutputTokens: 800 },
    // What it would refuse is recorded; to refuse it, set the modes to "enforce".
    admission: memoryAdmission({
      userInFlight: { limit: 4, mode: "shadow" },
      globalInFlight: { limit: 200, mode: "shadow" },
      messageRate: { count: 600, perMs: 60_000, burst: 120, mode: "shadow" },
    }),
    timeoutMs,
    onFailure: "failed",
    sinks,
  });
}
