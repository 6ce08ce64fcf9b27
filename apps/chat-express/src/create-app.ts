import { fileURLToPath } from "node:url";
import type { FlagSource } from "@sluice/contract";
import { guardRoute } from "@sluice/express";
import express, { type Express } from "express";
import { answerError } from "./answer-error.ts";
import { chatRequestSchema } from "./chat-contract.ts";
import type { ChatGuard } from "./chat-guard.ts";
import { isAuthoritative } from "./gateway-mode.ts";
import type { KillSwitch } from "./kill-file.ts";
import { legacyChat } from "./legacy-chat.ts";
import { operatorRoutes } from "./operator-routes.ts";
import { recentOutcomes } from "./recent-outcomes.ts";
import { visitors } from "./visitor.ts";

export interface AppOptions {
  readonly guard: ChatGuard;
  readonly flags: FlagSource;
  readonly killSwitch: KillSwitch;
  /** For the page: which model answers. */
  readonly upstream: string;
  /** Makes the first provider fail, or work again; only of a local stand-in. */
  readonly breakDown?: ((broken: boolean) => void) | undefined;
}

const page = fileURLToPath(new URL("../public", import.meta.url));

export function createApp(options: AppOptions): Express {
  const { guard, flags } = options;
  const app = express().disable("x-powered-by");
  const legacy = legacyChat();
  const outcomes = recentOutcomes();
  const { greet, subjectOf } = visitors();
  const guarded = guardRoute(guard, {
    subject: subjectOf,
    input: chatRequestSchema,
    bodyLimitBytes: 1024 * 1024,
    stream: true,
    onOutcome: (outcome) => outcomes.note(outcome),
  });

  app.post("/api/chat", (req, res, next) => {
    const answer = isAuthoritative(flags.readSwitches().switches) ? guarded : legacy;
    return answer(req, res, next);
  });
  app.use("/api", operatorRoutes({ ...options, outcomes }));
  app.get("/healthz", (_req, res) => {
    res.json({ status: "ok" });
  });
  app.use((_req, res, next) => {
    res.set("content-security-policy", "default-src 'self'; frame-ancestors 'none'");
    next();
  });
  app.use(greet, express.static(page));
  app.use(answerError);
  return app;
}
