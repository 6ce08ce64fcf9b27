// #region
import { chatGateway } from "@sluice/express";
import type { ChatInput } from "@sluice/gateway";
import { createGuard, defineContract, envFlags } from "@sluice/guard";
import { openaiProvider } from "@sluice/providers";
import { z } from "zod";
// #endregion
import type { Server } from "node:http";
import type { Express, Request, RequestHandler } from "express";

/** What the page takes for granted. */
export interface Surroundings {
  readonly app: Express;
  readonly legacyChat: RequestHandler;
  readonly userOf: (req: Request) => { readonly id: string };
}

const makeGuard = () => {
  // #region +
  const guard = createGuard({
    feature: "chat_ai",
    contract: defineContract({
      ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
      failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
      text: { field: "reply", maxChars: 16_000 }, // plain text, so that it can flow
    }),
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "OK", reply: "A person will answer you today." }),
    provider: openaiProvider({ model: "gpt-4o-mini", prompt: (chat: ChatInput) => chat.messages }),
    budget: { callsPerRun: 3, maxOutputTokens: 800 },
    prices: { "gpt-4o-mini": { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 } },
    flags: envFlags(),
    onFailure: "stub",
  });
  // #endregion
  return guard;
};

export function mount({ app, legacyChat, userOf }: Surroundings) {
  const guard = makeGuard();
  // #region
  const gateway = chatGateway({ guard, legacy: legacyChat, subject: (req) => userOf(req).id });
  app.post("/api/chat", gateway);
  // #endregion
  return { guard, gateway };
}

export function mountWatching({ app, legacyChat, userOf }: Surroundings) {
  const guard = makeGuard();
  // #region
  const watching = chatGateway({
    guard,
    legacy: legacyChat,
    subject: (req) => userOf(req).id,
    shadow: {
      mirrorShare: 0.05, // one request in twenty really asks the model
      costNanoUsdPerDay: 5_000_000_000, // at most five dollars a day, in this process
      fromLegacy: (body) => ({ status: "OK", reply: (body as { text: string }).text }),
    },
  });
  // #endregion
  app.post("/api/chat", watching);
  return { guard, watching };
}

export function onSigterm(server: Server, { guard, gateway }: ReturnType<typeof mount>): void {
  // #region
  async function stop(): Promise<void> {
    await gateway.drain({ deadlineMs: 20_000 });
    server.close();
    guard.close();
  }
  process.once("SIGTERM", () => void stop());
  // #endregion
}
