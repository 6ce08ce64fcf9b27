export {
  admit,
  type AdmissionCounts,
  type AdmissionLimits,
  type AdmissionVerdict,
  type InFlightLimit,
} from "./admit.ts";
export {
  compileAllowlist,
  type AllowlistMatcher,
  type AllowlistRule,
  type RuleValue,
} from "./allowlist.ts";
export { bucketOf } from "./bucket.ts";
export { add, giveBack, reserve, settle, unused, type Reserved } from "./budget-ledger.ts";
export {
  flagVariableNames,
  flagsOf,
  parseEnvFlags,
  parseSwitches,
  type FlagVariableNames,
  type RawFlags,
  type Variables,
} from "./env-flags.ts";
export { failureOfStatus, failureTable } from "./failure-table.ts";
export { gcra, type RateLimit, type RateVerdict } from "./gcra.ts";
export { narrowest, narrowestSwitches } from "./narrowest.ts";
export { flagAgeMs, shutBy, type LocalKills, type Shut } from "./shut.ts";
export { isEligibleSubject } from "./subject.ts";
export { tokenUpperBound } from "./token-bound.ts";
export {
  judgeTripwire,
  observe,
  type Observation,
  type Trip,
  type TripwireLimits,
} from "./tripwire.ts";
