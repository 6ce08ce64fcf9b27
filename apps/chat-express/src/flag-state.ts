import type { FlagSource } from "@sluice/contract";
import { systemClock } from "@sluice/guard";
import { flagAgeMs } from "@sluice/policy";

/** What this process has heard of the feature's flag; no subject's id. */
export interface FlagState {
  readonly enabled: boolean;
  readonly killed: boolean;
  readonly percent: number;
  /** How many are on its list; null where it has none. */
  readonly listed: number | null;
  /** Null where the source has no versions. */
  readonly version: number | null;
  /** For people: where it comes from. */
  readonly origin: string;
  /** Whether it counts only for as long as its source confirms it. */
  readonly isConfirmed: boolean;
  /** Since it was confirmed last; null where it never was, or need not be. */
  readonly ageMs: number | null;
  /** The code of what keeps the source from confirming it; null while all is well. */
  readonly trouble: string | null;
}

export function flagState(flags: FlagSource, feature: string, origin: string): FlagState {
  const { enabled, killed, percent, allowlist, version } = flags.read(feature);
  const confirmed = flags.confirmedAt();
  const now = { monotonicMs: systemClock.monotonicMs(), wallMs: systemClock.wallMs() };
  const ageMs = confirmed === undefined ? Number.NaN : flagAgeMs(confirmed, now);
  return {
    enabled,
    killed,
    percent,
    listed: allowlist?.length ?? null,
    version: version ?? null,
    origin,
    isConfirmed: confirmed !== undefined,
    ageMs: Number.isFinite(ageMs) ? Math.max(0, Math.round(ageMs)) : null,
    trouble: flags.trouble?.() ?? null,
  };
}
