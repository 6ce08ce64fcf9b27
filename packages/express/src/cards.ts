import {
  ConfigError,
  functionSchema,
  parseOptions,
  type Attributes,
  type GateName,
  type HoldEnd,
  type Usage,
} from "@sluice/contract";
import { toRejection, type GateCheck, type Guard } from "@sluice/guard";
import type { NextFunction, Request, RequestHandler, Response } from "express";
import { z } from "zod";
import { sendHttpOutcome } from "./send-http-outcome.ts";

export interface CardOptions<In> {
  readonly subject: (req: Request) => string;
  /** What a diverted request gets. */
  readonly safePath: RequestHandler;
  /** What the guard's own functions look at. Default: the parsed body. */
  readonly input?: (req: Request) => In;
  readonly attributes?: (req: Request) => Attributes;
  readonly run?: (req: Request) => string | undefined;
}

type AnyGuard<In> = Guard<In, unknown, unknown, unknown>;

const optionsSchema = z.strictObject({
  subject: functionSchema,
  safePath: functionSchema,
  input: functionSchema.optional(),
  attributes: functionSchema.optional(),
  run: functionSchema.optional(),
});

const usages = new WeakMap<Response, Usage>();
/** What the cards of a request took, until it ends or a later card stops it. */
const takenBy = new WeakMap<Response, GateCheck[]>();

/** Tells the `budget()` card what the handler's model call really used. */
export function reportUsage(res: Response, usage: Usage): void {
  usages.set(res, usage);
}

/** Passes while the feature is enabled, by flags fresh enough to trust. */
export const featureFlag = card("feature-flag");
/** Passes while no kill is engaged. */
export const killSwitch = card("kill-switch");
/** Passes who opted in. */
export const optIn = card("opt-in");
/** Passes subjects that the guard's allowlist permits. */
export const allowlist = card("allowlist");
/** Passes subjects inside the percentage; an allowlist's mode `include` is not known to it. */
export const rollout = card("rollout");
/** Passes while the run has budget; settles by {@link reportUsage} when the response has ended. */
export const budget = card("budget");
/** Passes while the provider's circuit has a permit; a 5xx response counts as a failure. */
export const circuitBreaker = card("circuit-breaker");
/** Passes while there is capacity; rejects with 429 or 503 otherwise. */
export const admission = card("admission");

/** One gate of a guard as a middleware of its own, sharing the guard's state. */
function card(name: GateName) {
  return <In>(guard: AnyGuard<In>, options: CardOptions<In>): RequestHandler => {
    parseOptions(name, optionsSchema, options);
    assertHasGate(guard, name);
    return (req, res, next) => pass(guard, name, options, req, res, next);
  };
}

/** A card of a gate that the guard lacks would let everybody pass. */
function assertHasGate<In>(guard: AnyGuard<In>, name: GateName): void {
  if (guard.describe().chain.some(({ gate }) => gate === name)) return;
  throw new ConfigError({
    option: name,
    got: `a guard of ${guard.feature} without this gate`,
    expected: `createGuard.${name === "opt-in" ? "optIn" : name} to be set`,
  });
}

async function pass<In>(
  guard: AnyGuard<In>,
  name: GateName,
  options: CardOptions<In>,
  req: Request,
  res: Response,
  next: NextFunction,
): Promise<void> {
  const input = options.input === undefined ? (req.body as In) : options.input(req);
  const check = await guard.check(name, input, {
    subject: options.subject(req),
    attributes: options.attributes?.(req),
    run: options.run?.(req),
  });
  if (check.effect === "allow") {
    if (res.closed) {
      // The client is gone, and no event will say so again: what comes after is not called.
      check.release({ how: "void" });
      return;
    }
    releaseAtEnd(res, check);
    next();
    return;
  }
  // The handler is not reached: nothing was dispatched on what earlier cards took.
  releaseTaken(res, { how: "void" });
  if (check.effect === "divert") {
    await options.safePath(req, res, next);
    return;
  }
  const { reason = "STORE_UNAVAILABLE", retryAfterMs = 0 } = check;
  sendHttpOutcome(res, toRejection(reason, retryAfterMs, check.admission));
}

function releaseAtEnd(res: Response, check: GateCheck): void {
  const taken = takenBy.get(res);
  if (taken !== undefined) {
    taken.push(check);
    return;
  }
  takenBy.set(res, [check]);
  res.once("close", () => releaseTaken(res, endOf(res)));
}

function releaseTaken(res: Response, end: HoldEnd): void {
  for (const check of takenBy.get(res)?.splice(0).toReversed() ?? []) check.release(end);
}

function endOf(res: Response): HoldEnd {
  const usage = usages.get(res);
  if (!res.writableFinished) return { how: "settle", usage, health: "neutral" };
  return { how: "settle", usage, health: res.statusCode >= 500 ? "failure" : "success" };
}
