import {
  eventSchemaVersion,
  Reason,
  type Decision,
  type DecisionEvent,
  type DisabledNoopEvent,
  type Outcome,
  type OutcomeEvent,
} from "@sluice/contract";

export function decisionEvent(decision: Decision, atMs: number): DecisionEvent {
  return {
    v: eventSchemaVersion,
    event: "decision",
    at_ms: atMs,
    feature: decision.feature,
    decision_id: decision.id,
    effect: decision.effect,
    ...(decision.gate === undefined ? {} : { gate: decision.gate }),
    ...(decision.reason === undefined ? {} : { reason: decision.reason }),
    ...(decision.flagVersion === undefined ? {} : { flag_version: decision.flagVersion }),
    trail: [...decision.trail],
  };
}

export function noopEvent(decision: Decision, atMs: number): DisabledNoopEvent {
  return {
    v: eventSchemaVersion,
    event: "disabled_noop",
    at_ms: atMs,
    feature: decision.feature,
    reason: decision.reason ?? Reason.FLAG_OFF,
  };
}

export function outcomeEvent(
  outcome: Outcome<unknown, unknown, unknown>,
  atMs: number,
): OutcomeEvent {
  const { decision, record } = outcome;
  return {
    v: eventSchemaVersion,
    event: "outcome",
    at_ms: atMs,
    feature: decision.feature,
    decision_id: decision.id,
    outcome: outcome.status,
    path: outcome.path,
    ...("reason" in outcome ? { reason: outcome.reason } : {}),
    ...(outcome.status === "FAILED" ? { failure_code: outcome.failure.code } : {}),
    ...(record.selectedProvider === undefined
      ? {}
      : { selected_provider: record.selectedProvider }),
    fallback_used: record.fallbackUsed,
    latency_ms: record.latencyMs,
    attempts: record.attempts.map((attempt) => ({
      provider: attempt.provider,
      ...(attempt.model === undefined ? {} : { model: attempt.model }),
      ...(attempt.code === undefined ? {} : { code: attempt.code }),
      latency_ms: attempt.latencyMs,
    })),
    ...(record.usage === undefined
      ? {}
      : { input_tokens: record.usage.inputTokens, output_tokens: record.usage.outputTokens }),
    ...(record.costNanoUsd === undefined ? {} : { cost_nano_usd: record.costNanoUsd }),
    measures: { ...record.measures },
  };
}
