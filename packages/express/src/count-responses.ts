import { countResponse, type CountingGuard } from "@sluice/gateway/node";
import type { RequestHandler } from "express";

/**
 * Tells the guard's `metrics` the status of each response, and how long after this middleware it began.
 * `guardRoute` does so by itself, and `chatGateway` but in the stage `legacy`; mounted before authentication,
 * on the same route, this counts also what never reaches them. However often it is mounted, a response counts
 * once. A client that left before any status was sent counts as 499.
 */
export function countResponses(guard: CountingGuard): RequestHandler {
  return (_req, res, next) => {
    countResponse(guard, res);
    next();
  };
}
