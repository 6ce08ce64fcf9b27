export { toAskableSchema, type AskableSchema } from "./askable-schema.ts";
export { ConfigError, describeValue, oneLine, parseOptions } from "./config-error.ts";
export { onEdge } from "./on-edge.ts";
export type { AdmissionFigures, Decision } from "./decision.ts";
export {
  defineContract,
  toTextValue,
  type Contract,
  type Member,
  type TextRules,
} from "./define-contract.ts";
export { FailureCode, failureCodes, type Failure } from "./failure.ts";
export type { FeatureFlags, FlagProblem } from "./feature-flags.ts";
export { functionSchema } from "./function-schema.ts";
export { assertFeatureName } from "./feature-name.ts";
export {
  gateModes,
  gateNames,
  indeterminatePolicies,
  trailVerdicts,
  type ConfigurableGateName,
  type GateMode,
  type GateName,
  type OnIndeterminate,
  type SafetyGateName,
  type TrailEntry,
  type Verdict,
} from "./gate.ts";
export type { Hold, HoldEnd, ProviderHealth } from "./hold.ts";
export {
  assertMeasuresSchema,
  measuresParser,
  type Measures,
  type MeasuresReport,
  type MeasuresSchema,
} from "./measures.ts";
export type { AttemptRecord, Outcome, OutcomeRecord, ToolRecord } from "./outcome.ts";
export {
  admissionDimensions,
  type AdmissionAsk,
  type AdmissionDimension,
  type AdmissionLease,
  type AdmissionReply,
  type AdmissionState,
  type AdmissionStore,
  type SharedReply,
  type SharedReservation,
  type ToolRateReply,
} from "./ports/admission-store.ts";
export type { Breaker, BreakerPermit, BreakerState } from "./ports/breaker.ts";
export type {
  BudgetAsk,
  BudgetCaps,
  BudgetReply,
  BudgetReservation,
  BudgetStore,
  BudgetUse,
} from "./ports/budget-store.ts";
export type { Clock } from "./ports/clock.ts";
export type { EventSink } from "./ports/event-sink.ts";
export type { Confirmation, FlagSource } from "./ports/flag-source.ts";
export type { NewId } from "./ports/ids.ts";
export {
  metricArms,
  type AdmissionVerdict,
  type CheckSample,
  type CircuitSample,
  type MetricArm,
  type MetricSample,
  type MetricSink,
  type OutcomeSample,
  type ParityFigures,
  type ParitySample,
  type ResponseSample,
} from "./ports/metric-sink.ts";
export type {
  Provider,
  ProviderAsk,
  ProviderCall,
  ProviderEvent,
  ProviderFailure,
  ProviderNotReady,
  ProviderReply,
} from "./ports/provider.ts";
export type { RouteSource } from "./ports/route-source.ts";
export { eventSchemaFor, prefixEvents, type PrefixedEvent } from "./prefix-events.ts";
export {
  costNanoUsd,
  priceSchema,
  priceTableSchema,
  type Price,
  type PriceTable,
} from "./price.ts";
export {
  configuredNameSchema,
  maxAttemptMs,
  providerConfigSchema,
  routeStrategies,
  skipReasons,
  type ProviderConfig,
  type RouteCandidate,
  type RouteStrategy,
  type SkippedCandidate,
  type SkipReason,
} from "./provider-config.ts";
export { Reason } from "./reason.ts";
export type { Attributes, GuardRequest } from "./request.ts";
export type { StreamEvent } from "./stream-event.ts";
export { switchNames, type SwitchName, type Switches } from "./switches.ts";
export {
  alertCodes,
  alertEventSchema,
  decisionEventSchema,
  disabledNoopEventSchema,
  eventSchema,
  eventSchemaVersion,
  outcomeEventSchema,
  type AlertCode,
  type AlertEvent,
  type DecisionEvent,
  type DisabledNoopEvent,
  type OutcomeEvent,
  type SluiceEvent,
} from "./telemetry/events.ts";
export { attributeNames, genAi, measureMetricPrefix, metricNames } from "./telemetry/names.ts";
export {
  toolFailures,
  type ToolCall,
  type ToolFailure,
  type ToolResult,
  type ToolSpec,
  type ToolStep,
} from "./tool.ts";
export type { Usage } from "./usage.ts";
