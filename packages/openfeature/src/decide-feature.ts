import { ErrorCode, StandardResolutionReasons } from "@openfeature/server-sdk";
import { Reason, type FeatureFlags } from "@sluice/contract";
import { bucketOf, isEligibleSubject, shutBy, type AllowlistMatcher } from "@sluice/policy";

/** How far the flags can be trusted; `unconfirmed` where they never were. */
export type Freshness = "fresh" | "stale" | "unconfirmed";

export interface FeatureDecision {
  readonly value: boolean;
  readonly reason: string;
  /** Why the feature is shut, in the guard's own words. */
  readonly sluiceReason: Reason | undefined;
}

export interface FeatureFault {
  readonly errorCode: ErrorCode;
  readonly errorMessage: string;
}

const noKills = { killed: false, tripped: false } as const;
const reasons = StandardResolutionReasons;

/**
 * Whether a guard would let the subject pass its safety gates, its allowlist of the flags and its rollout,
 * and what decided it. A fault where OpenFeature asks for one, so that the caller's default counts.
 */
export function decideFeature(ask: {
  readonly flags: FeatureFlags;
  readonly freshness: Freshness;
  /** The targeting key as it came. */
  readonly subject: unknown;
  /** Over the flags' allowlist; undefined where they have none. */
  readonly listed: AllowlistMatcher | undefined;
  readonly allowlistMode: "require" | "include";
}): FeatureDecision | FeatureFault {
  const { flags, freshness, subject, listed, allowlistMode } = ask;
  const shut = shutBy(flags, noKills, freshness !== "fresh");
  if (shut?.reason === Reason.FLAGS_STALE && freshness === "unconfirmed") return notReady;
  if (shut !== undefined) {
    const isStale = shut.reason === Reason.FLAGS_STALE;
    return decided(false, isStale ? reasons.STALE : reasons.DISABLED, shut.reason);
  }

  const requiresListing = listed !== undefined && allowlistMode === "require";
  // Closed to whoever asks, so the caller's default must not open it.
  if (requiresListing && flags.allowlist?.length === 0) return notListed;
  // An empty key names nobody.
  const isMissing = subject === undefined || subject === null || subject === "";
  if (!isMissing && !isEligibleSubject(subject)) return ineligible;
  if (flags.percent === 100 && !requiresListing) return decided(true, reasons.STATIC);
  if (isMissing) return keyMissing;

  const isListed = listed?.(subject, undefined) ?? false;
  if (requiresListing && !isListed) return notListed;
  // As in the guard, a list that may be half written widens nothing.
  const skipsPercentage = allowlistMode === "include" && isListed && flags.settling !== true;
  if (skipsPercentage || flags.percent === 100) return decided(true, reasons.TARGETING_MATCH);
  const isIn = bucketOf(flags.salt, subject) < flags.percent;
  return decided(isIn, reasons.SPLIT, isIn ? undefined : Reason.NOT_IN_ROLLOUT);
}

function decided(value: boolean, reason: string, sluiceReason?: Reason): FeatureDecision {
  return { value, reason, sluiceReason };
}

const notListed = decided(false, reasons.TARGETING_MATCH, Reason.NOT_ALLOWLISTED);

const notReady: FeatureFault = {
  errorCode: ErrorCode.PROVIDER_NOT_READY,
  errorMessage: "the flags were never confirmed",
};
const ineligible: FeatureFault = {
  errorCode: ErrorCode.INVALID_CONTEXT,
  errorMessage: "the targeting key must be well-formed text without NUL, of at most 1 KiB in UTF-8",
};
const keyMissing: FeatureFault = {
  errorCode: ErrorCode.TARGETING_KEY_MISSING,
  errorMessage: "the feature is decided for each subject, so the context needs a targeting key",
};
