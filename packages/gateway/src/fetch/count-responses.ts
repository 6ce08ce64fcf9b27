import type { Clock, Outcome } from "@sluice/contract";
import { systemClock } from "@sluice/guard";
import { clientClosedRequest, type CountingGuard } from "../node/count-response.ts";

type Answered = Outcome<unknown, unknown, unknown>;

/** A response that a guard counts. */
export interface CountedResponse {
  readonly guard: CountingGuard;
  /** What it is to become; it may be known only after the response has left. */
  outcome: Promise<Answered> | "legacy" | undefined;
}

export type FetchHandler<Req extends Request, Rest extends readonly unknown[]> = (
  request: Req,
  ...rest: Rest
) => Response | Promise<Response>;

/** What hosts answer for a handler that throws. */
const internalError = 500;

const countedOf = new WeakMap<Request, CountedResponse[]>();

/**
 * Tells the guard's `metrics` the status of each response of a handler. A fetch gateway does so by itself;
 * around authentication and all that may refuse, this counts also what never reaches it, and what the legacy
 * handler answers in its stage. A response counts once. A handler that throws counts as 500, a client that
 * left before there was a response as 499.
 */
export function countResponses<Req extends Request, Rest extends readonly unknown[]>(
  guard: CountingGuard,
  handler: FetchHandler<Req, Rest>,
  clock: Clock = systemClock,
): (request: Req, ...rest: Rest) => Promise<Response> {
  return (request, ...rest) =>
    counted(guard, clock, request, async () => handler(request, ...rest));
}

/** The same for one request; `answer` may name the outcome that it sends. */
export async function counted(
  guard: CountingGuard,
  clock: Clock,
  request: Request,
  answer: (counted: CountedResponse) => Promise<Response>,
): Promise<Response> {
  const others = countedOf.get(request);
  const known = others?.find((counting) => counting.guard === guard);
  if (known !== undefined) return answer(known);
  const counting: CountedResponse = { guard, outcome: undefined };
  if (!guard.metered) return answer(counting);
  if (others === undefined) countedOf.set(request, [counting]);
  else others.push(counting);
  const arrivedMs = clock.monotonicMs();
  let status = internalError;
  try {
    const response = await answer(counting);
    // Some handlers return nothing; their hosts complain.
    status = (response as Response | undefined)?.status ?? internalError;
    return response;
  } finally {
    const firstByteMs = clock.monotonicMs() - arrivedMs;
    void tell(counting, request.signal.aborted ? clientClosedRequest : status, firstByteMs);
  }
}

async function tell(
  { guard, outcome }: CountedResponse,
  status: number,
  firstByteMs: number,
): Promise<void> {
  let answered: Answered | "legacy" | undefined;
  try {
    answered = await outcome;
  } catch {
    // There is none: what the application threw is answered by the host.
  }
  guard.noteResponse(status, answered, firstByteMs);
}
