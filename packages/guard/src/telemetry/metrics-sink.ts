import {
  attributeNames,
  genAi,
  measureMetricPrefix,
  metricNames,
  type EventSink,
  type OutcomeEvent,
} from "@sluice/contract";
import type * as OpenTelemetryApi from "@opentelemetry/api";
import type { Attributes, Counter, Histogram, Meter } from "@opentelemetry/api";

type OpenTelemetry = typeof OpenTelemetryApi;

interface Instruments {
  readonly decisions: Counter;
  readonly outcomes: Counter;
  readonly noops: Counter;
  readonly alerts: Counter;
  readonly duration: Histogram;
  readonly operationDuration: Histogram;
  readonly tokens: Histogram;
  readonly measure: (name: string) => Histogram;
}

/** A sink that keeps figures: nobody reads an alert there. */
export interface CountingSink extends EventSink {
  readonly onlyCounts: true;
}

export function onlyCounts(sink: EventSink): sink is CountingSink {
  return "onlyCounts" in sink;
}

/** Turns events into OpenTelemetry metrics. */
export function metricsSink(openTelemetry: OpenTelemetry): CountingSink {
  // Made at the first event, because a meter that was taken before the SDK started stays silent.
  let made: Instruments | undefined;
  const count: EventSink = (event) => {
    made ??= instruments(openTelemetry.metrics.getMeter("@sluice/guard"));
    const feature = { [attributeNames.feature]: event.feature };
    switch (event.event) {
      case "decision":
        made.decisions.add(1, {
          ...feature,
          [attributeNames.effect]: event.effect,
          ...given(attributeNames.gate, event.gate),
          ...given(attributeNames.reason, event.reason),
        });
        break;
      case "disabled_noop":
        made.noops.add(1, { ...feature, [attributeNames.reason]: event.reason });
        break;
      case "alert":
        made.alerts.add(1, { ...feature, [attributeNames.alertCode]: event.code });
        break;
      case "outcome":
        record(made, event, feature);
        break;
    }
  };
  return Object.assign(count, { onlyCounts: true as const });
}

function record(made: Instruments, event: OutcomeEvent, feature: Attributes): void {
  const attributes = {
    ...feature,
    [attributeNames.outcome]: event.outcome,
    [attributeNames.path]: event.path,
    ...given(attributeNames.reason, event.reason),
    ...given(attributeNames.failureCode, event.failure_code),
  };
  made.outcomes.add(1, attributes);
  made.duration.record(event.latency_ms / 1000, attributes);
  for (const attempt of event.attempts) {
    const call = {
      ...feature,
      [genAi.operationName]: "chat",
      [genAi.providerName]: attempt.provider,
      ...given(genAi.requestModel, attempt.model),
    };
    made.operationDuration.record(attempt.latency_ms / 1000, {
      ...call,
      ...given(genAi.errorType, attempt.code),
    });
    if (attempt.input_tokens !== undefined) {
      made.tokens.record(attempt.input_tokens, { ...call, [genAi.tokenType]: "input" });
    }
    if (attempt.output_tokens !== undefined) {
      made.tokens.record(attempt.output_tokens, { ...call, [genAi.tokenType]: "output" });
    }
  }
  for (const [name, value] of Object.entries(event.measures)) {
    if (typeof value === "number") made.measure(name).record(value, feature);
    else made.measure(name).record(1, { ...feature, value: String(value) });
  }
}

function instruments(meter: Meter): Instruments {
  const measures = new Map<string, Histogram>();
  return {
    decisions: meter.createCounter(metricNames.decisions),
    outcomes: meter.createCounter(metricNames.outcomes),
    noops: meter.createCounter(metricNames.noops),
    alerts: meter.createCounter(metricNames.alerts),
    duration: meter.createHistogram(metricNames.duration, { unit: "s" }),
    operationDuration: meter.createHistogram(genAi.durationMetric, { unit: "s" }),
    tokens: meter.createHistogram(genAi.tokenUsageMetric, { unit: "{token}" }),
    // Bounded: only declared measures reach an event.
    measure(name) {
      const known = measures.get(name);
      if (known !== undefined) return known;
      const histogram = meter.createHistogram(`${measureMetricPrefix}${name}`);
      measures.set(name, histogram);
      return histogram;
    },
  };
}

function given(name: string, value: string | undefined): Attributes {
  return value === undefined ? {} : { [name]: value };
}
