// #region
import { guardRoute } from "@sluice/express";
import { defineContract } from "@sluice/guard";
import { z } from "zod";
// #endregion
import type { FlagSource, OutcomeRecord, Provider } from "@sluice/contract";
import { createGuard, type Guard } from "@sluice/guard";
import type { Express, Request } from "express";

export interface Question {
  readonly text: string;
}

// #region +
const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  text: { field: "reply", maxChars: 16_000, forbidden: ["internal use only"] },
});
// #endregion

export function streamingGuard(
  provider: Provider<Question>,
  flags: FlagSource,
): Guard<Question, unknown, unknown, unknown> {
  return createGuard({
    feature: "help_ai",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "OK", reply: "A person will answer you today." }),
    provider,
    flags,
    onFailure: "failed",
    retry: { maxRetries: 0 },
    sinks: [() => undefined],
  });
}

export async function readAnswer(
  guard: Guard<Question, unknown, unknown, unknown>,
  question: Question,
  subject: string,
  write: (text: string) => Promise<void>,
  markIncomplete: () => void,
): Promise<OutcomeRecord> {
  // #region
  const stream = guard.stream(question, { subject });
  for await (const event of stream) {
    if (event.type === "text-delta") await write(event.text); // slow here is slow upstream
    if (event.type === "failed") markIncomplete(); // what was written is no answer
  }
  const { record } = await stream.outcome;
  // #endregion
  return record;
}

export function mount(
  app: Express,
  guard: Guard<Question, unknown, unknown, unknown>,
  userOf: (req: Request) => { readonly id: string },
): void {
  // #region
  app.post(
    "/api/help",
    guardRoute(guard, {
      subject: (req) => userOf(req).id,
      input: z.object({ text: z.string().min(1) }),
      stream: true,
    }),
  );
  // #endregion
}

// #region
export async function askAndShow(url: string, text: string, show: (reply: string) => void) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ text }),
  });
  // Failed or rejected before the first content: a status, and no stream.
  if (!response.ok || response.body === null) return { complete: false, status: response.status };
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let unread = "";
  let reply = "";
  let last = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const events = (unread + piece.value).split("\n\n");
    unread = events.pop() ?? "";
    for (const event of events) {
      const { type, text: more } = JSON.parse(event.slice("data: ".length)) as WireEvent;
      if (type === "text-delta") show((reply += more));
      last = type;
    }
  }
  // Anything but `finish` at the end, or nothing at all, and the reply is not complete.
  return { complete: last === "finish", status: response.status };
}

interface WireEvent {
  readonly type: string;
  readonly text?: string;
}
// #endregion
