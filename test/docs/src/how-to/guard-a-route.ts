// #region
import {
  allowlist,
  budget,
  circuitBreaker,
  featureFlag,
  guardRoute,
  killSwitch,
  rollout,
} from "@sluice/express";
import { createGuard, defineContract, envFlags } from "@sluice/guard";
import { functionProvider, openaiProvider } from "@sluice/providers";
import express, { type Request } from "express";
import { z } from "zod";
// #endregion
import type { Guard } from "@sluice/guard";
import type { Express, RequestHandler } from "express";

/** What the page takes for granted. */
export interface Surroundings {
  readonly userOf: (req: Request) => { readonly id: string; readonly plan: string };
  readonly cannedReply: (question: Question) => string;
  readonly legacyHandler: RequestHandler;
  readonly yourHandler: RequestHandler;
}

interface Question {
  readonly text: string;
}

export function serve(surroundings: Surroundings): {
  readonly app: Express;
  readonly guard: Guard<Question, unknown, unknown, unknown>;
} {
  const { userOf, cannedReply, legacyHandler, yourHandler } = surroundings;
  const app = express();
  // #region +
  const contract = defineContract({
    ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
    failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
    stub: z.object({ status: z.literal("STUB"), reply: z.string().min(1) }), // only where it differs
  });
  // #endregion
  // #region
  const guard = createGuard({
    feature: "help_ai",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: (question: Question) => ({ status: "STUB", reply: cannedReply(question) }),
    provider: openaiProvider({ model: "gpt-4o-mini", prompt: ({ text }: Question) => text }),
    flags: envFlags(),
    budget: { callsPerRun: 1, maxOutputTokens: 800 }, // of one run: here, of one request
    onFailure: "failed",
  });
  // #endregion
  // #region
  app.post(
    "/api/help",
    guardRoute(guard, {
      subject: (req) => userOf(req).id, // from your sign-in, never from a client header
      input: z.object({ text: z.string().min(1) }), // what the body must be
      attributes: (req) => ({ plan: userOf(req).plan }), // for the rules of an allowlist
    }),
  );
  // #endregion
  const operators = app;
  // #region
  operators.get("/ops/help_ai", (_req, res) => {
    res.type("text").send(String(guard.describe()));
  });
  operators.post("/ops/help_ai/kill", (_req, res) => {
    guard.kill();
    res.sendStatus(204);
  });
  // #endregion
  // #region
  const card = { subject: (req: Request) => userOf(req).id, safePath: legacyHandler };
  app.post(
    "/api/chat",
    express.json(),
    featureFlag(guard, card),
    killSwitch(guard, card),
    allowlist(guard, card),
    rollout(guard, card),
    budget(guard, card),
    circuitBreaker(guard, card),
    yourHandler,
  );
  // #endregion
  return { app, guard };
}

interface Job {
  readonly prompt: string;
}

export interface Model {
  ask(
    prompt: string,
    options: { readonly signal: AbortSignal; readonly max: number | undefined },
  ): Promise<{ readonly json: string; readonly tokensIn: number; readonly tokensOut: number }>;
}

export function guardModel(yourModel: Model): ReturnType<typeof functionProvider<Job>> {
  // #region
  const provider = functionProvider(async (job: Job, { signal, maxOutputTokens, usage }) => {
    const answer = await yourModel.ask(job.prompt, { signal, max: maxOutputTokens });
    usage({ inputTokens: answer.tokensIn, outputTokens: answer.tokensOut });
    return answer.json; // a value, or a string of JSON; both are validated
  });
  // #endregion
  return provider;
}
