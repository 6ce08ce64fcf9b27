export {
  createAdmissionMachine,
  type AdmissionMachine,
  type MachineLease,
  type MachineLimits,
  type MachineReply,
  type MachineRequest,
} from "./admission-machine.ts";
export { admissionRules, type AdmissionRules } from "./admission-rules.ts";
export {
  admit,
  admitTool,
  type AdmissionCounts,
  type AdmissionLimits,
  type AdmissionVerdict,
  type InFlightLimit,
  type RateDimension,
  type ToolRateVerdict,
} from "./admit.ts";
export {
  compileAllowlist,
  type AllowlistMatcher,
  type AllowlistRule,
  type RuleValue,
} from "./allowlist.ts";
export { bucketOf } from "./bucket.ts";
export { budgetStanding } from "./admission-states.ts";
export { add, giveBack, reserve, settle, unused, type Reserved } from "./budget-ledger.ts";
export {
  compileRoute,
  orderCandidates,
  type CompiledRoute,
  type RouteOrder,
} from "./choose-route.ts";
export { afterFailure, afterSuccess, coolsForMs, notCooling, type CoolDown } from "./cool-down.ts";
export {
  flagVariableNames,
  flagsOf,
  parseEnvFlags,
  parseSwitches,
  type FlagVariableNames,
  type RawFlags,
  type Variables,
} from "./env-flags.ts";
export type { DailyBudget, DailyBudgets, MachineReservation } from "./day-budgets.ts";
export { dayTeller, isTimeZone, type Day } from "./day.ts";
export { failureOfStatus, failureTable } from "./failure-table.ts";
export {
  compileForbidden,
  startScan,
  type ForbiddenText,
  type TextScan,
} from "./forbidden-text.ts";
export { gcra, rateStanding, type RateLimit, type RateVerdict } from "./gcra.ts";
export {
  addToHistogram,
  emptyLogHistogram,
  histogramQuantile,
  histogramToJson,
  logHistogramAccuracy,
  logHistogramGamma,
  mergeHistogram,
  parseLogHistogram,
  type LogHistogram,
} from "./log-histogram.ts";
export { machineReservation, reserveOnMachine } from "./machine-reservation.ts";
export { narrowest, narrowestSwitches } from "./narrowest.ts";
export {
  nextAttempt,
  type AttemptFailed,
  type NextAttempt,
  type RetryRules,
} from "./next-attempt.ts";
export { parseDurationMs } from "./parse-duration.ts";
export {
  isBalanced,
  loweredShare,
  raisedShares,
  targetShares,
  tatOfShare,
  type ShardStanding,
} from "./rebalance.ts";
export { noteCall, emptyRetryBudget, trySpend, type RetryBudget } from "./retry-budget.ts";
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
export { upstreamFailure, type UpstreamError } from "./upstream-failure.ts";
export { causesOf, mayHaveConnected } from "./connection-error.ts";
export { retryAfterMs } from "./retry-after.ts";
export { samplesNeeded } from "./samples-needed.ts";
export { wilsonInterval, z95, type Interval } from "./wilson-interval.ts";
