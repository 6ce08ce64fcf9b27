import type { OutcomeEvent, SluiceEvent } from "@sluice/contract";

/** One row of `ai_training_examples`: figures and names, no content. */
export interface GenerationRecord {
  readonly requestId: string;
  readonly requestedProvider?: string;
  readonly selectedProvider?: string;
  readonly routeStrategy?: string;
  readonly fallbackProvider?: string;
  readonly fallbackUsed: boolean;
  /** Whole milliseconds, so that a percentile can count rows per value. */
  readonly latencyMs: number;
  readonly promptTemplateVersion?: string;
  /** Wall clock, milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly feature: string;
  readonly outcome: OutcomeEvent["outcome"];
  readonly failureCode?: string;
  /** Whether the model's answer met its contract; absent where there was no whole answer to judge. */
  readonly schemaValid?: boolean;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly costNanoUsd?: number;
  readonly firstContentMs?: number;
  /** The declared measures as numbers: a boolean is 0 or 1, a member of an enum is 1 under `name.member`. */
  readonly metadata?: Readonly<Record<string, number>>;
}

/** What the table's check takes as a member's name: a word, so no prose can pass for one. */
const memberName = /^[A-Za-z0-9_-]{1,64}$/;

/** The record of an `outcome` event; undefined for any other event, and for that of a shadow: it answered nobody. */
export function recordOfOutcome(event: SluiceEvent): GenerationRecord | undefined {
  if (event.event !== "outcome" || event.shadow === true) return undefined;
  const schemaValid = schemaValidOf(event);
  const metadata = numbersOf(event.measures);
  return {
    requestId: event.request_id,
    ...(event.requested_provider !== undefined && { requestedProvider: event.requested_provider }),
    ...(event.selected_provider !== undefined && { selectedProvider: event.selected_provider }),
    ...(event.route_strategy !== undefined && { routeStrategy: event.route_strategy }),
    ...(event.fallback_provider !== undefined && { fallbackProvider: event.fallback_provider }),
    fallbackUsed: event.fallback_used,
    latencyMs: Math.round(event.latency_ms),
    ...(event.prompt_template_version !== undefined && {
      promptTemplateVersion: event.prompt_template_version,
    }),
    createdAtMs: event.at_ms,
    feature: event.feature,
    outcome: event.outcome,
    ...(event.failure_code !== undefined && { failureCode: event.failure_code }),
    ...(schemaValid !== undefined && { schemaValid }),
    ...(event.input_tokens !== undefined && { inputTokens: event.input_tokens }),
    ...(event.output_tokens !== undefined && { outputTokens: event.output_tokens }),
    ...(event.cost_nano_usd !== undefined && { costNanoUsd: event.cost_nano_usd }),
    ...(event.first_content_ms !== undefined && {
      firstContentMs: Math.round(event.first_content_ms),
    }),
    ...(metadata !== undefined && { metadata }),
  };
}

function schemaValidOf(event: OutcomeEvent): boolean | undefined {
  if (event.outcome === "SUCCEEDED") return true;
  const code = event.failure_code;
  return code === "OUTPUT_NOT_JSON" || code === "OUTPUT_SCHEMA_INVALID" ? false : undefined;
}

function numbersOf(measures: OutcomeEvent["measures"]): Record<string, number> | undefined {
  const numbers: Record<string, number> = {};
  let any = false;
  for (const [name, value] of Object.entries(measures)) {
    if (typeof value === "string") {
      // A member that is no plain word has no name here; it still is a label of the metrics.
      if (!memberName.test(value)) continue;
      numbers[`${name}.${value}`] = 1;
    } else {
      numbers[name] = Number(value);
    }
    any = true;
  }
  return any ? numbers : undefined;
}
