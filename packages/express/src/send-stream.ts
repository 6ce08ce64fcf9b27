import { pump, toSse } from "@sluice/gateway/node";
import {
  isAnswered,
  rateLimitFields,
  toHttpOutcome,
  type GuardStream,
  type HttpOutcome,
  type RateLimitHeaders,
  type StreamHead,
} from "@sluice/guard";
import type { Response } from "express";
import { sendHttpOutcome } from "./send-http-outcome.ts";

/**
 * Sends a guarded stream as server-sent events, as fast as the client takes them. A request that fails
 * before its first content is answered with a status of its own instead.
 */
export async function sendStream<Ok, Failed, Stub>(
  res: Response,
  stream: GuardStream<Ok, Failed, Stub>,
  told: RateLimitHeaders,
  headersOf: (head: StreamHead<Ok, Failed, Stub>) => HttpOutcome["headers"],
): Promise<void> {
  const head = await stream.head;
  if (head.outcome !== undefined && !isAnswered(head.outcome)) {
    const http = toHttpOutcome(head.outcome, told);
    sendHttpOutcome(res, { ...http, headers: { ...http.headers, ...headersOf(head) } });
    return;
  }
  if (res.destroyed || res.headersSent) {
    stream.cancel();
    return;
  }
  res.status(200).set({
    ...rateLimitFields(head.decision.admission, told),
    ...headersOf(head),
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    // Proxies that collect answers would make one piece of it. Source: nginx, proxy_buffering
    "x-accel-buffering": "no",
  });
  await pump(res, {
    stream,
    // What a tool returned is for the model; a route that shows it says so itself.
    encode: (event) => (event.type === "tool-result" ? "" : toSse(event)),
  });
}
