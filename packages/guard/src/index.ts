export { createGuard } from "./create-guard.ts";
export type { Guard, ShadowGuard } from "./guard.ts";
export type { ShadowOptions } from "./shadow-options.ts";
export type { GateCheck } from "./gate-check.ts";
export type { GuardDescription, ProviderDescription } from "./describe.ts";
export { envFlags } from "./flags/env-flags.ts";
export { flagFile, type FlagFileOptions } from "./flags/flag-file.ts";
export { staticFlags, type StaticFeature, type StaticFlags } from "./flags/static-flags.ts";
export type { AllowlistMode } from "./gates/allowlist.ts";
export type {
  BudgetOptions,
  GuardOptions,
  RetryOptions,
  RouteOptions,
  StreamOptions,
} from "./guard-options.ts";
export { guardOptionsSchema } from "./guard-settings.ts";
export type { Barred, HandedOver, HandedOverEnd } from "./handed-over.ts";
export {
  isAnswered,
  toHttpOutcome,
  toRejection,
  type HttpOutcome,
  type Problem,
} from "./http-outcome.ts";
export { toInputProblem, type InputFault } from "./input-problem.ts";
export { observe } from "./observe.ts";
export type { Probe, ProbeOptions } from "./probe.ts";
export {
  rateLimitFields,
  rateLimitHeaderSets,
  type RateLimitHeaders,
} from "./rate-limit-fields.ts";
export { machineRandom } from "./ids.ts";
export { readInput } from "./read-input.ts";
export type { StubContext } from "./safe-path.ts";
export { memoryAdmission, type MemoryAdmissionOptions } from "./stores/memory-admission.ts";
export { memoryBudgets, type MemoryBudgetsOptions } from "./stores/memory-budgets.ts";
export { opossumBreaker, type BreakerOptions } from "./stores/opossum-breaker.ts";
export type { GuardStream, StreamHead } from "./stream-queue.ts";
export { systemClock } from "./system-clock.ts";
export { defineTool, type Tool, type ToolContext } from "./tools/define-tools.ts";
export type { ToolQueueOptions } from "./tools/tool-queue-options.ts";
export type { TripwireOptions } from "./tripwire.ts";
// One place to import from: what a guarded application names of the contract.
export { defineContract, ConfigError, FailureCode, Reason } from "@sluice/contract";
export type { Decision, GuardRequest, Outcome, SluiceEvent, StreamEvent } from "@sluice/contract";
