/** Sluice's own names: event kinds, metrics, attributes. Each telemetry name of ours stands here. */
export const metricNames = {
  decisions: "sluice.decisions",
  outcomes: "sluice.outcomes",
  noops: "sluice.disabled_noops",
  alerts: "sluice.alerts",
  duration: "sluice.outcome.duration",
} as const;

export const attributeNames = {
  feature: "sluice.feature",
  effect: "sluice.effect",
  gate: "sluice.gate",
  reason: "sluice.reason",
  outcome: "sluice.outcome",
  path: "sluice.path",
  failureCode: "sluice.failure_code",
  alertCode: "sluice.alert_code",
} as const;

/** Prefix of a declared measure's metric: `sluice.measure.<name>`. */
export const measureMetricPrefix = "sluice.measure.";

/**
 * Names of OpenTelemetry's GenAI semantic conventions 1.41.
 * Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/
 */
export const genAi = {
  operationName: "gen_ai.operation.name",
  providerName: "gen_ai.provider.name",
  requestModel: "gen_ai.request.model",
  requestMaxTokens: "gen_ai.request.max_tokens",
  usageInputTokens: "gen_ai.usage.input_tokens",
  usageOutputTokens: "gen_ai.usage.output_tokens",
  tokenType: "gen_ai.token.type",
  errorType: "error.type",
  durationMetric: "gen_ai.client.operation.duration",
  tokenUsageMetric: "gen_ai.client.token.usage",
} as const;
