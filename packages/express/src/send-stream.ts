import {
  isAnswered,
  rateLimitFields,
  toHttpOutcome,
  type GuardStream,
  type HttpOutcome,
  type RateLimitHeaders,
  type StreamHead,
} from "@sluice/guard";
import { FailureCode, type Outcome } from "@sluice/contract";
import type { Response } from "express";
import { sendHttpOutcome } from "./send-http-outcome.ts";
import { toSse } from "./to-sse.ts";

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
  res.flushHeaders();
  for await (const event of stream) {
    if (res.destroyed) break;
    if (res.write(toSse(event))) continue;
    const waited = await Promise.race([drained(res), stream.outcome]);
    // The guard gave this reader up: what is written still would never be read.
    if (waited !== undefined && isGivenUp(waited)) {
      res.destroy();
      break;
    }
    if (waited !== undefined) await drained(res);
  }
  if (!res.destroyed) res.end();
}

function isGivenUp(outcome: Outcome<unknown, unknown, unknown>): boolean {
  return outcome.status === "FAILED" && outcome.failure.code === FailureCode.CLIENT_ABORTED;
}

/** Resolves when the client has taken what was written, or is gone. */
function drained(res: Response): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => {
    res.off("drain", done);
    res.off("close", done);
    resolve();
  };
  res.on("drain", done);
  res.on("close", done);
  return promise;
}
