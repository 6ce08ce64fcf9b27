import type { Outcome } from "@sluice/contract";
import type { Guard } from "@sluice/guard";
import type { RequestHandler, Response } from "express";

type CountingGuard = Pick<Guard<never, unknown, unknown, unknown>, "metered" | "noteResponse">;

/** A response that a guard counts once it has ended. */
export interface CountedResponse {
  readonly guard: CountingGuard;
  /** What it is to become; it may be known only after the client has left. */
  outcome: Promise<Outcome<unknown, unknown, unknown>> | undefined;
}

/** Of a client that left before it was sent any. Source: nginx, src/http/ngx_http_request.h */
const clientClosedRequest = 499;

const countedOf = new WeakMap<Response, CountedResponse[]>();

/**
 * Tells the guard's `metrics` the status of each response. `guardRoute` does so by itself; mounted before
 * authentication, on the same route, this counts also what never reaches it. However often it is mounted, a
 * response counts once. A client that left before any status was sent counts as 499.
 */
export function countResponses(guard: CountingGuard): RequestHandler {
  return (_req, res, next) => {
    countResponse(guard, res);
    next();
  };
}

/** Undefined where the guard has nobody to tell. */
export function countResponse(guard: CountingGuard, res: Response): CountedResponse | undefined {
  if (!guard.metered) return undefined;
  const others = countedOf.get(res);
  const known = others?.find((counted) => counted.guard === guard);
  if (known !== undefined) return known;
  const counted: CountedResponse = { guard, outcome: undefined };
  if (others === undefined) countedOf.set(res, [counted]);
  else others.push(counted);
  // Of a client that is gone no event will say so again.
  if (res.closed) void tell(counted, res);
  else res.once("close", () => void tell(counted, res));
  return counted;
}

async function tell({ guard, outcome }: CountedResponse, res: Response): Promise<void> {
  const status = res.headersSent ? res.statusCode : clientClosedRequest;
  let answered: Outcome<unknown, unknown, unknown> | undefined;
  try {
    answered = await outcome;
  } catch {
    // There is none: what the application threw was answered by its error handler.
  }
  guard.noteResponse(status, answered);
}
