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
  const upperMs = nowMs + emissionMs * limit.burst;
  const slackMs = roundingMs(upperMs, limit);
  const next = Math.max(Math.min(tatMs, upperMs + slackMs), nowMs) + emissionMs;
  const waitMs = next - upperMs;
  if (waitMs <= slackMs) return { allowed: true, tatMs: next };
  // What rounding leaves beyond is let through by then.
  return { allowed: false, retryAfterMs: Math.min(waitMs, emissionMs) };
}

/** How many events may come at once now, and the milliseconds until the whole burst may. */
export function rateStanding(
  tatMs: number,
  nowMs: number,
  limit: RateLimit,
): { readonly remaining: number; readonly resetMs: number } {
  const emissionMs = limit.perMs / limit.count;
  const toleranceMs = emissionMs * limit.burst;
  const aheadMs = Math.min(Math.max(0, tatMs - nowMs), toleranceMs);
  const leftMs = toleranceMs - aheadMs + roundingMs(nowMs + toleranceMs, limit);
  return { remaining: Math.max(0, Math.floor(leftMs / emissionMs)), resetMs: aheadMs };
}

/**
 * Each event of a burst rounds by half a unit in the last place; that must not refuse the last of them. Nor may
 * it let one through twice: a limit is behind by half an event at most, and stays so.
 */
function roundingMs(tatMs: number, limit: RateLimit): number {
  return Math.min(Number.EPSILON * tatMs * (limit.burst + 1), limit.perMs / limit.count / 2);
}
