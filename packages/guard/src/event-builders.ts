import {
  eventSchemaVersion,
  Reason,
  type Decision,
  type DecisionEvent,
  type DisabledNoopEvent,
  type Failure,
  type Outcome,
  type OutcomeEvent,
} from "@sluice/contract";
import { given } from "./given.ts";

export function decisionEvent(decision: Decision, atMs: number): DecisionEvent {
  return {
    v: eventSchemaVersion,
    event: "decision",
    at_ms: atMs,
    feature: decision.feature,
    decision_id: decision.id,
    effect: decision.effect,
    ...given("gate", decision.gate),
    ...given("reason", decision.reason),
    ...given("flag_version", decision.flagVersion),
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

/** What an outcome's event tells of it: everything but its value. */
export type Ended = Pick<
  Outcome<unknown, unknown, unknown>,
  "status" | "path" | "decision" | "record"
> & { readonly reason?: Reason; readonly failure?: Failure };

export function outcomeEvent(outcome: Ended, atMs: number): OutcomeEvent {
  const { decision, record } = outcome;
  return {
    v: eventSchemaVersion,
    event: "outcome",
    at_ms: atMs,
    feature: decision.feature,
    decision_id: decision.id,
    outcome: outcome.status,
    path: outcome.path,
    ...given("reason", outcome.reason),
    ...given("failure_code", outcome.failure?.code),
    request_id: record.requestId,
    ...given("requested_provider", record.requestedProvider),
    ...given("selected_provider", record.selectedProvider),
    ...given("route_strategy", record.routeStrategy),
    ...given("fallback_provider", record.fallbackProvider),
    fallback_used: record.fallbackUsed,
    ...given("prompt_template_version", record.promptTemplateVersion),
    latency_ms: record.latencyMs,
    ...given("first_content_ms", record.firstContentMs),
    attempts: record.attempts.map((attempt) => ({
      provider: attempt.provider,
      ...given("model", attempt.model),
      ...given("code", attempt.code),
      latency_ms: attempt.latencyMs,
      ...given("first_content_ms", attempt.firstContentMs),
      ...given("http_status", attempt.httpStatus),
      ...given("input_tokens", attempt.usage?.inputTokens),
      ...given("output_tokens", attempt.usage?.outputTokens),
      ...given("cost_nano_usd", attempt.costNanoUsd),
    })),
    skipped: record.skipped.map(({ provider, why }) => ({ ...given("provider", provider), why })),
    tools: record.tools.map((tool) => ({
      tool: tool.tool,
      ...given("code", tool.code),
      wait_ms: tool.waitMs,
      latency_ms: tool.latencyMs,
      ...given("would", tool.would),
    })),
    ...given("input_tokens", record.usage?.inputTokens),
    ...given("output_tokens", record.usage?.outputTokens),
    ...given("cost_nano_usd", record.costNanoUsd),
    measures: { ...record.measures },
  };
}
