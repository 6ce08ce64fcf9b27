import { randomUUID } from "node:crypto";
import { chatGateway } from "@sluice/next";
import { chatGuard } from "../../../../../chat-guard.ts";

/** A guard needs Node. */
export const runtime = "nodejs";

/** For OpenAI clients, whose base URL is `/api/openai`. They keep no cookie, so each call is a visitor's first. */
export const POST = chatGateway(async () => ({
  guard: await chatGuard(),
  protocol: "openai",
  subject: () => randomUUID(),
}));
