import { fileURLToPath } from "node:url";
import type { FlagSource } from "@sluice/contract";
import { countResponses, guardRoute, probeRoute } from "@sluice/express";
import express, { type Express, type RequestHandler } from "express";
import { answerError } from "./answer-error.ts";
import { chatRequestSchema, type ChatRequest } from "./chat-contract.ts";
import type { ChatGuard } from "./chat-guard.ts";
import { isAuthoritative } from "./gateway-mode.ts";
import type { KillSwitch } from "./kill-file.ts";
import { legacyChat } from "./legacy-chat.ts";
import { operatorRoutes } from "./operator-routes.ts";
import type { RecentFigures } from "./recent-figures.ts";
import { recentOutcomes } from "./recent-outcomes.ts";
import { visitors } from "./visitor.ts";

export interface AppOptions {
  readonly guard: ChatGuard;
  readonly flags: FlagSource;
  /** For the page: where the flags come from. Default: their source's name. */
  readonly flagsOrigin?: string | undefined;
  readonly killSwitch: KillSwitch;
  /** For the page: which model answers. */
  readonly upstream: string;
  /** Makes the first provider fail, or work again; only of a local stand-in. */
  readonly breakDown?: ((broken: boolean) => void) | undefined;
  /** Of the whole fleet, where its processes write them down. */
  readonly figures?: (() => Promise<RecentFigures>) | undefined;
  /** For `sluice verify`. */
  readonly probe?: ProbeOptions | undefined;
}

export interface ProbeOptions {
  readonly token: string;
  readonly instance?: string | undefined;
  /** Whether a run costs nothing; else the gates alone are asked. */
  readonly isFree: boolean;
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

  // Before all that may refuse: what is refused is counted, too.
  app.use("/api/chat", countResponses(guard));
  app.post("/api/chat", (req, res, next) => {
    const answer = isAuthoritative(flags.readSwitches().switches) ? guarded : legacy;
    return answer(req, res, next);
  });
  app.use("/api", operatorRoutes({ ...options, outcomes }));
  if (options.probe !== undefined) app.post("/sluice/probe", probe(guard, options.probe));
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

const question: ChatRequest = { messages: [{ role: "user", content: "When are you open?" }] };

const probe = (guard: ChatGuard, { token, instance, isFree }: ProbeOptions): RequestHandler =>
  probeRoute(guard, {
    token,
    ...(instance !== undefined && { instance }),
    ...(isFree && { sample: () => ({ input: question }) }),
  });
