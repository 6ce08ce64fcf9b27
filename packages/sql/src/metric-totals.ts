import type { MetricArm } from "@sluice/contract";
import type { LogHistogram } from "@sluice/policy";
import { type MeasureParts, type MeasureTotals, toHistogram, toMeasure } from "./measure-totals.ts";
import { type ParityTotals, splitParity } from "./metric-parity.ts";
import { type CheckEffect, splitChecks } from "./metric-checks.ts";

/** The figures of one arm and provider, of all processes. */
export interface MetricTotals {
  /** With `by: "window"`. */
  readonly windowStart?: Date;
  readonly arm: MetricArm;
  /** Empty where no provider was called. */
  readonly provider: string;
  readonly outcomes: ReadonlyMap<string, number>;
  /** Of the arm `shadow`: what its gates would have said, one for each request that it saw. */
  readonly checks: ReadonlyMap<CheckEffect, number>;
  readonly failures: ReadonlyMap<string, number>;
  readonly reasons: ReadonlyMap<string, number>;
  /** By `allow`, `reject.<REASON>`, `would_reject.<REASON>`, `indeterminate.<REASON>`. */
  readonly admission: ReadonlyMap<string, number>;
  readonly http: ReadonlyMap<number, number>;
  readonly latencyMs: LogHistogram;
  readonly firstContentMs: LogHistogram;
  /** From a request's arrival to the sending of its status line. */
  readonly firstByteMs: LogHistogram;
  readonly queueMs: LogHistogram;
  readonly fallbacks: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costNanoUsd: number;
  /** Added up over processes: two that both had it open for a second are two seconds. */
  readonly circuitOpenMs: number;
  /** The declared ones. */
  readonly measures: ReadonlyMap<string, MeasureTotals>;
  /** Of the arm `shadow`, where mirrored answers were compared. */
  readonly parity?: ParityTotals;
}

/** The same as the database has it. */
export interface MetricGroup {
  readonly start_ms: number | null;
  readonly arm: MetricArm;
  readonly provider: string;
  /** By column, then by key. */
  readonly figures: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** By measure. */
  readonly measures: Readonly<Record<string, MeasureParts>>;
}

export function toTotals(group: MetricGroup): MetricTotals {
  const { start_ms: startMs, arm, provider, figures } = group;
  const countsOf = (name: string): ReadonlyMap<string, number> =>
    new Map(Object.entries(figures[name] ?? {}));
  const sum = (name: string): number => figures["sums"]?.[name] ?? 0;
  const measures = new Map(
    Object.entries(group.measures).map(([name, parts]) => [name, toMeasure(parts)]),
  );
  const { parity, declared } =
    arm === "shadow" ? splitParity(measures) : { parity: undefined, declared: measures };
  return {
    ...(startMs !== null && { windowStart: new Date(startMs) }),
    arm,
    provider,
    ...splitChecks(countsOf("outcomes")),
    failures: countsOf("failures"),
    reasons: countsOf("reasons"),
    admission: countsOf("admission"),
    http: new Map(Array.from(countsOf("http"), ([status, times]) => [Number(status), times])),
    latencyMs: toHistogram(figures["latency_ms"]),
    firstContentMs: toHistogram(figures["first_content_ms"]),
    firstByteMs: toHistogram(figures["first_byte_ms"]),
    queueMs: toHistogram(figures["queue_ms"]),
    fallbacks: sum("fallbacks"),
    inputTokens: sum("input_tokens"),
    outputTokens: sum("output_tokens"),
    costNanoUsd: sum("cost_nano_usd"),
    circuitOpenMs: sum("circuit_open_ms"),
    measures: declared,
    ...(parity !== undefined && { parity }),
  };
}
