/** `count` events each `perMs`, of which up to `burst` may come at once. */
export interface RateLimit {
  readonly count: number;
  readonly perMs: number;
  readonly burst: number;
}

export type RateVerdict =
  | { readonly allowed: true; readonly tatMs: number }
  | { readonly allowed: false; readonly retryAfterMs: number };

/**
 * Generic cell rate algorithm. `tatMs` is the theoretical arrival time, 0 for a fresh limit; it is
 * clamped to what the current limit could have reached, so that raising a limit locks nobody out.
 * Source: ITU-T I.371, annex A; https://brandur.org/rate-limiting
 */
export function gcra(tatMs: number, nowMs: number, limit: RateLimit): RateVerdict {
  const emissionMs = limit.perMs / limit.count;
  const toleranceMs = emissionMs * limit.burst;
  const next = Math.max(Math.min(tatMs, nowMs + toleranceMs), nowMs) + emissionMs;
  const waitMs = next - toleranceMs - nowMs;
  // Each event of a burst rounds by half a unit in the last place; that must not refuse the last of them.
  const roundingMs = Number.EPSILON * next * (limit.burst + 1);
  if (waitMs <= roundingMs) return { allowed: true, tatMs: next };
  return { allowed: false, retryAfterMs: waitMs };
}
