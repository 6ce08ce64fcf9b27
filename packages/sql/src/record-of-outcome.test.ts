import { outcomeEventSchema, type OutcomeEvent, type SluiceEvent } from "@sluice/contract";
import { describe, expect, test } from "vitest";
import { recordOfOutcome } from "./record-of-outcome.ts";

function outcome(fields: Partial<OutcomeEvent> = {}): OutcomeEvent {
  return outcomeEventSchema.parse({
    v: 4,
    at_ms: 1_800_000_000_123,
    feature: "demo",
    event: "outcome",
    decision_id: "d1",
    outcome: "SUCCEEDED",
    path: "ai",
    request_id: "r1",
    fallback_used: false,
    latency_ms: 12.6,
    attempts: [],
    skipped: [],
    tools: [],
    measures: {},
    ...fields,
  });
}

describe("recordOfOutcome", () => {
  test("an outcome of few fields is a record of few", () => {
    expect(recordOfOutcome(outcome())).toEqual({
      requestId: "r1",
      fallbackUsed: false,
      latencyMs: 13,
      createdAtMs: 1_800_000_000_123,
      feature: "demo",
      outcome: "SUCCEEDED",
      schemaValid: true,
    });
  });

  test("every figure and name of the outcome is in the record", () => {
    const event = outcome({
      outcome: "STUBBED",
      path: "stub",
      failure_code: "PROVIDER_TIMEOUT",
      requested_provider: "a",
      selected_provider: "b",
      route_strategy: "weighted",
      fallback_provider: "c",
      fallback_used: true,
      prompt_template_version: "p1",
      first_content_ms: 3.4,
      input_tokens: 1,
      output_tokens: 2,
      cost_nano_usd: 3,
    });
    expect(recordOfOutcome(event)).toEqual({
      requestId: "r1",
      requestedProvider: "a",
      selectedProvider: "b",
      routeStrategy: "weighted",
      fallbackProvider: "c",
      fallbackUsed: true,
      latencyMs: 13,
      promptTemplateVersion: "p1",
      createdAtMs: 1_800_000_000_123,
      feature: "demo",
      outcome: "STUBBED",
      failureCode: "PROVIDER_TIMEOUT",
      inputTokens: 1,
      outputTokens: 2,
      costNanoUsd: 3,
      firstContentMs: 3,
    });
  });

  test.each(["OUTPUT_NOT_JSON", "OUTPUT_SCHEMA_INVALID"] as const)(
    "%s is no valid answer",
    (code) => {
      const event = outcome({ outcome: "FAILED", path: "ai", failure_code: code });
      expect(recordOfOutcome(event)?.schemaValid).toBe(false);
    },
  );

  test("measures are numbers: a boolean is 0 or 1, a member of an enum 1 under its name", () => {
    const measures = { score: 0.5, isKept: true, isNew: false, tone: "warm", motto: "no word" };
    expect(recordOfOutcome(outcome({ measures }))?.metadata).toEqual({
      score: 0.5,
      isKept: 1,
      isNew: 0,
      "tone.warm": 1,
    });
  });

  test("the outcome of a shadow is no record", () => {
    expect(recordOfOutcome(outcome({ shadow: true }))).toBeUndefined();
  });

  test("another event is no record", () => {
    const event: SluiceEvent = {
      v: 4,
      at_ms: 0,
      feature: "demo",
      event: "disabled_noop",
      reason: "FEATURE_DISABLED" as never,
    };
    expect(recordOfOutcome(event)).toBeUndefined();
  });
});
