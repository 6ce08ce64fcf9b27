import { fileURLToPath } from "node:url";
import { countResponses, probeRoute } from "@sluice/express";
import express, { type Express, type RequestHandler } from "express";
import { answerError } from "./answer-error.ts";
import type { AppStateOptions } from "./app-state.ts";
import type { ChatRequest } from "./chat-contract.ts";
import { chatGateways, type ChatGateways } from "./chat-gateways.ts";
import type { ChatGuard } from "./chat-guard.ts";
import { operatorRoutes, type OperatorRoutesOptions } from "./operator-routes.ts";
import { recentOutcomes } from "./recent-outcomes.ts";
import { visitors } from "./visitor.ts";

export interface AppOptions
  extends AppStateOptions,
    Pick<OperatorRoutesOptions, "killSwitch" | "breakDown" | "figures"> {
  /** For `sluice verify`. */
  readonly probe?: ProbeOptions | undefined;
}

export interface ProbeOptions {
  readonly token: string;
  readonly instance?: string | undefined;
  /** Whether a run costs nothing; else the gates alone are asked. */
  readonly isFree: boolean;
}

export interface ChatApp {
  readonly app: Express;
  readonly drain: ChatGateways["drain"];
}

const page = fileURLToPath(new URL("../public", import.meta.url));

export function createApp(options: AppOptions): ChatApp {
  const { guard, counts, shadow } = options;
  const app = express().disable("x-powered-by");
  const outcomes = recentOutcomes();
  const { greet, subjectOf } = visitors();
  const gateways = chatGateways({ guard, subjectOf, outcomes, counts, shadow });

  // Before all that may refuse: what is refused is counted, too.
  app.use("/api/chat", countResponses(guard));
  app.post("/api/chat", gateways.chat);
  app.post("/api/openai/chat/completions", gateways.completions);
  app.use("/api", operatorRoutes({ ...options, gateways, outcomes }));
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
  return { app, drain: (deadlineMs) => gateways.drain(deadlineMs) };
}

const question: ChatRequest = { messages: [{ role: "user", content: "How are you?" }] };

const probe = (guard: ChatGuard, { token, instance, isFree }: ProbeOptions): RequestHandler =>
  probeRoute(guard, {
    token,
    ...(instance !== undefined && { instanceId: instance }),
    ...(isFree && { sample: () => ({ input: question }) }),
  });
