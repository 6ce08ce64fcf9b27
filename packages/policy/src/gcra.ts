/** `count` events each `perMs`, of which up to `burst` may come at once. */
export interface RateLimit {
  readonly count: number;
  readonly perMs: number;
  readonly burst: number;
}

export type RateVerdict =
  | { readonly allowed: true; readonly tatMs: number }
  | { readonly allowed: false; readonly retryAfterMs: number };

/** Rounding of fractional emission intervals must not refuse the last event of a burst. */
const epsilonMs = 1e-6;

/**
 * Generic cell rate algorithm. `tatMs` is the theoretical arrival time, 0 for a fresh limit; it is
 * clamped to what the current limit could have reached, so that raising a limit locks nobody out.
 * Source: ITU-T I.371, annex A; https://brandur.org/rate-limiting
 */
export function gcra(tatMs: number, nowMs: number, limit: RateLimit): RateVerdict {
  const emissionMs = limit.perMs / limit.count;
  const toleranceMs = emissionMs * limit.burst;
  const next = Math.max(Math.min(tatMs, nowMs + toleranceMs), nowMs) + emissionMs;
  const allowedAtMs = next - toleranceMs;
  if (allowedAtMs <= nowMs + epsilonMs) return { allowed: true, tatMs: next };
  return { allowed: false, retryAfterMs: allowedAtMs - nowMs };
}
