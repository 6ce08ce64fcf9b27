import type { ProviderFailure } from "@sluice/contract";
import type { HandedOverEnd } from "@sluice/guard";

/** By how much a timer of Node's may be early on the guard's clock, rounded up. */
const earlyMs = 2;

/**
 * A failure as the guard is told of it. The SDK waits as long as the upstream asked, to the millisecond,
 * and the guard must not find its next try too early.
 */
export function toEnd(failure: ProviderFailure): HandedOverEnd {
  const { retryAfterMs } = failure;
  return retryAfterMs === undefined
    ? failure
    : { ...failure, retryAfterMs: Math.max(0, retryAfterMs - earlyMs) };
}
