import { z } from "zod";
import { FailureCode } from "../failure.ts";
import { gateNames, trailVerdicts } from "../gate.ts";
import { maxMemberLength } from "../measures.ts";
import { routeStrategies, skipReasons } from "../provider-config.ts";
import { Reason } from "../reason.ts";
import { toolFailures } from "../tool.ts";

/** Raised with any change of the schemas below; a test holds them against the locked JSON Schema. */
export const eventSchemaVersion = 4;

const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const feature = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/);
const reason = z.enum(Reason);
const failureCode = z.enum(FailureCode);
const gate = z.enum(gateNames);
/** Names come from the configuration, never from an upstream answer. */
const configuredName = z.string().min(1).max(128);
const count = z.int().nonnegative();
const milliseconds = z.number().nonnegative();

const base = {
  v: z.literal(eventSchemaVersion),
  /** Wall clock, milliseconds since the epoch. */
  at_ms: z.number(),
  feature,
  /** Of a guard that runs beside another one: nobody was answered by it. */
  shadow: z.literal(true).optional(),
};

export const decisionEventSchema = z.strictObject({
  ...base,
  event: z.literal("decision"),
  decision_id: id,
  effect: z.enum(["allow", "divert", "reject"]),
  gate: gate.optional(),
  reason: reason.optional(),
  flag_version: z.int().optional(),
  trail: z.array(
    z.strictObject({ gate, verdict: z.enum(trailVerdicts), reason: reason.optional() }),
  ),
});

export const outcomeEventSchema = z.strictObject({
  ...base,
  event: z.literal("outcome"),
  decision_id: id,
  outcome: z.enum(["SUCCEEDED", "STUBBED", "FAILED", "REJECTED"]),
  path: z.enum(["ai", "stub", "legacy", "none"]),
  reason: reason.optional(),
  failure_code: failureCode.optional(),
  request_id: id,
  requested_provider: configuredName.optional(),
  selected_provider: configuredName.optional(),
  route_strategy: z.enum(routeStrategies).optional(),
  fallback_provider: configuredName.optional(),
  fallback_used: z.boolean(),
  prompt_template_version: configuredName.optional(),
  latency_ms: milliseconds,
  first_content_ms: milliseconds.optional(),
  attempts: z.array(
    z.strictObject({
      provider: configuredName,
      model: configuredName.optional(),
      code: failureCode.optional(),
      latency_ms: milliseconds,
      first_content_ms: milliseconds.optional(),
      http_status: z.int().optional(),
      input_tokens: count.optional(),
      output_tokens: count.optional(),
      cost_nano_usd: count.optional(),
    }),
  ),
  /** Candidates that were passed over, and why. */
  skipped: z.array(
    z.strictObject({ provider: configuredName.optional(), why: z.enum(skipReasons) }),
  ),
  tools: z.array(
    z.strictObject({
      tool: configuredName,
      code: z.enum(toolFailures).optional(),
      wait_ms: milliseconds,
      latency_ms: milliseconds,
      would: reason.optional(),
    }),
  ),
  input_tokens: count.optional(),
  output_tokens: count.optional(),
  cost_nano_usd: count.optional(),
  /** Declared by the application: numbers, booleans and members of enums. */
  measures: z.record(
    z.string().regex(/^[a-z][A-Za-z0-9_]{0,62}$/),
    z.union([z.number(), z.boolean(), z.string().max(maxMemberLength)]),
  ),
});

/** The only trace of a request of a closed feature. */
export const disabledNoopEventSchema = z.strictObject({
  ...base,
  event: z.literal("disabled_noop"),
  reason,
});

/** What an operator should hear of, once per change and never per request. */
export const alertCodes = [
  "FLAG_MALFORMED",
  "FLAGS_STALE",
  "FLAGS_FRESH",
  "TRIPPED",
  "TRIPWIRE_RESET",
  "KILLED_LOCALLY",
  "RESTORED_LOCALLY",
  "BREAKER_STATE",
  "PROVIDER_NOT_READY",
  "PROVIDER_COOLING_DOWN",
  "ROUTE_MALFORMED",
  "MEASURES_REFUSED",
  "STUB_FAILED",
  "DEPENDENCY_THREW",
] as const;

export type AlertCode = (typeof alertCodes)[number];

export const alertEventSchema = z.strictObject({
  ...base,
  event: z.literal("alert"),
  code: z.enum(alertCodes),
  /** One line for people: what, and what to do. It holds configuration and figures, no content. */
  message: z.string().max(512),
  /** The environment variable, column or option at fault. */
  variable: z.string().max(128).optional(),
  /** The figures that led to it. */
  figures: z.record(z.string().max(64), z.number()).optional(),
});

export const eventSchema = z.discriminatedUnion("event", [
  decisionEventSchema,
  outcomeEventSchema,
  disabledNoopEventSchema,
  alertEventSchema,
]);

export type DecisionEvent = Readonly<z.output<typeof decisionEventSchema>>;
export type OutcomeEvent = Readonly<z.output<typeof outcomeEventSchema>>;
export type DisabledNoopEvent = Readonly<z.output<typeof disabledNoopEventSchema>>;
export type AlertEvent = Readonly<z.output<typeof alertEventSchema>>;
export type SluiceEvent = DecisionEvent | OutcomeEvent | DisabledNoopEvent | AlertEvent;
