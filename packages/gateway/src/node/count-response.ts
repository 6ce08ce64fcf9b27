import type { ServerResponse } from "node:http";
import type { Clock, Outcome } from "@sluice/contract";
import { systemClock, type Guard } from "@sluice/guard";
import { firstByte } from "./first-byte.ts";
import { lookAt } from "./look-at.ts";

export type CountingGuard = Pick<
  Guard<never, unknown, unknown, unknown>,
  "metered" | "noteResponse"
>;

type AnyOutcome = Outcome<unknown, unknown, unknown>;

/** A response that a guard counts once it has ended. */
export interface CountedResponse {
  readonly guard: CountingGuard;
  /** What it is to become; it may be known only after the client has left. */
  outcome: Promise<AnyOutcome | undefined> | "legacy" | undefined;
}

/** Of a client that left before it was sent any. Source: nginx, src/http/ngx_http_request.h */
export const clientClosedRequest = 499;

const countedOf = new WeakMap<ServerResponse, CountedResponse[]>();

/**
 * Tells the guard's `metrics` the status of a response once it has ended, and when it began; once, however
 * often it is asked to. A client that left before any status was sent counts as 499. Undefined where the
 * guard has nobody to tell.
 */
export function countResponse(
  guard: CountingGuard,
  res: ServerResponse,
  clock: Clock = systemClock,
): CountedResponse | undefined {
  if (!guard.metered) return undefined;
  const others = countedOf.get(res);
  const known = others?.find((counted) => counted.guard === guard);
  if (known !== undefined) return known;
  const counted: CountedResponse = { guard, outcome: undefined };
  if (others === undefined) countedOf.set(res, [counted]);
  else others.push(counted);
  const firstByteMs = firstByte(res, clock);
  const tell = async (): Promise<void> => {
    const status = res.headersSent ? res.statusCode : clientClosedRequest;
    const sentAfterMs = firstByteMs();
    let answered: AnyOutcome | "legacy" | undefined;
    try {
      answered = await counted.outcome;
    } catch {
      // There is none: what the application threw was answered by its error handler.
    }
    guard.noteResponse(status, answered, sentAfterMs);
  };
  // Of a client that is gone no event will say so again.
  if (res.closed) void tell();
  else {
    // No listener: beside a legacy handler nothing of it may be found.
    const stop = lookAt(res, "emit", ([event]) => {
      if (event !== "close") return;
      stop();
      void tell();
    });
  }
  return counted;
}
