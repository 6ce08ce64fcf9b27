import {
  Reason,
  type Confirmation,
  type FeatureFlags,
  type SafetyGateName,
} from "@sluice/contract";

/** Kills of this process, beside those of the flag source. */
export interface LocalKills {
  readonly killed: boolean;
  readonly tripped: boolean;
}

/** Why nobody may pass now, and which gate says so. */
export interface Shut {
  readonly gate: SafetyGateName;
  readonly reason: Reason;
  /** Disabled, killed or at 0 %: the feature is closed, and a request leaves no trace but `disabled_noop`. */
  readonly closed: boolean;
}

const killed: Shut = { gate: "kill-switch", reason: Reason.KILLED, closed: true };
const tripped: Shut = { gate: "kill-switch", reason: Reason.TRIPPED, closed: true };
const stale: Shut = { gate: "feature-flag", reason: Reason.FLAGS_STALE, closed: false };
const off: Shut = { gate: "feature-flag", reason: Reason.FLAG_OFF, closed: true };
const zero: Shut = { gate: "feature-flag", reason: Reason.NOT_IN_ROLLOUT, closed: true };

/**
 * The order of truth: kill ▸ staleness ▸ enabled ▸ percent 0. Undefined when subjects may be looked at.
 * The same answer counts before the gates, before each attempt, and for calls in flight.
 */
export function shutBy(flags: FeatureFlags, local: LocalKills, isStale: boolean): Shut | undefined {
  if (flags.killed || local.killed) return killed;
  if (local.tripped) return tripped;
  if (isStale) return stale;
  if (!flags.enabled) return off;
  if (flags.percent === 0) return zero;
  return undefined;
}

/**
 * Milliseconds since flags were confirmed: the larger age of the two clocks, because a monotonic clock
 * stands still while a machine sleeps and a wall clock may step back.
 */
export function flagAgeMs(
  confirmed: Confirmation,
  now: { readonly monotonicMs: number; readonly wallMs: number },
): number {
  return Math.max(now.monotonicMs - confirmed.monotonicMs, now.wallMs - confirmed.wallMs);
}
