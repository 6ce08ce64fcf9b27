// #region
// lib/chat-guard.ts
import type { ChatInput } from "@sluice/gateway";
import { createGuard, defineContract, envFlags } from "@sluice/guard";
import { shared } from "@sluice/next";
import { openaiProvider } from "@sluice/providers";
import { z } from "zod";

export const chatGuard = () =>
  shared("chat-guard", () =>
    createGuard({
      feature: "chat_ai",
      contract: defineContract({
        ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
        failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
        text: { field: "reply", maxChars: 16_000 },
      }),
      failed: ({ code }) => ({ status: "FAILED", code }),
      stub: () => ({ status: "OK", reply: "A person will answer you today." }),
      provider: openaiProvider({
        model: "gpt-4o-mini",
        prompt: (chat: ChatInput) => chat.messages,
      }),
      budget: { callsPerRun: 3, maxOutputTokens: 800 },
      flags: envFlags(),
      onFailure: "stub",
    }),
  );
// #endregion
