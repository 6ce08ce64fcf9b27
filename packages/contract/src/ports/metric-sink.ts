import type { Measures } from "../measures.ts";
import type { Reason } from "../reason.ts";
import type { FailureCode } from "../failure.ts";

/**
 * What a request was assigned to, which is not always who answered it: an allowed request whose provider
 * failed belongs to `ai` also where the safe path stood in. `none`: it never came so far, as when
 * authentication or admission refused it.
 */
export const metricArms = ["ai", "stub", "legacy", "shadow", "none"] as const;
export type MetricArm = (typeof metricArms)[number];

interface Sample {
  readonly feature: string;
  readonly arm: MetricArm;
  /** The route's first choice; absent where no provider was called. */
  readonly provider?: string | undefined;
}

/** What admission said of one request. */
export interface AdmissionVerdict {
  readonly verdict: "allow" | "reject" | "would_reject" | "indeterminate";
  readonly reason?: Reason | undefined;
}

/** How one request of an open feature ended. */
export interface OutcomeSample extends Sample {
  readonly kind: "outcome";
  readonly outcome: "SUCCEEDED" | "STUBBED" | "FAILED" | "REJECTED";
  /** Why it was diverted or rejected. */
  readonly reason?: Reason | undefined;
  /** Why it failed. */
  readonly code?: FailureCode | undefined;
  readonly fallbackUsed: boolean;
  readonly latencyMs: number;
  readonly firstContentMs?: number | undefined;
  readonly admission: readonly AdmissionVerdict[];
  /** How long each tool call waited in the queue. */
  readonly queueMs: readonly number[];
  readonly inputTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
  readonly costNanoUsd?: number | undefined;
  readonly measures: Measures;
}

/** The status that the client of the route was sent, whoever decided it. */
export interface ResponseSample extends Sample {
  readonly kind: "response";
  /** From 100 to 599. */
  readonly status: number;
  /** From the request's arrival to the sending of the status line. */
  readonly firstByteMs?: number | undefined;
}

/** The circuit of a provider opened, or closed again; half-open counts as open. */
export interface CircuitSample {
  readonly kind: "circuit";
  readonly feature: string;
  readonly provider: string;
  readonly isOpen: boolean;
}

/** What the gates of a shadow said of one request that somebody else answered. */
export interface CheckSample {
  readonly kind: "check";
  readonly feature: string;
  readonly arm: "shadow";
  readonly effect: "allow" | "divert" | "reject";
  readonly reason?: Reason | undefined;
  readonly admission: readonly AdmissionVerdict[];
}

/** How a mirrored answer compares with the legacy handler's. Differences are the mirror's less the legacy's. */
export interface ParityFigures {
  /** Whether each parses under the contract. */
  readonly legacyValid: boolean;
  readonly mirrorValid: boolean;
  /** Whether the two agree in a field, for each that the application names: at most 16. */
  readonly equal: Readonly<Record<string, boolean>>;
  /** In characters. */
  readonly lengthDifference: number;
  readonly latencyDifferenceMs: number;
  /** From 0 to 1. */
  readonly similarity: number;
}

/** One comparison. */
export interface ParitySample {
  readonly kind: "parity";
  readonly feature: string;
  readonly arm: "shadow";
  readonly figures: ParityFigures;
}

export type MetricSample =
  | OutcomeSample
  | ResponseSample
  | CircuitSample
  | CheckSample
  | ParitySample;

/**
 * Receives figures of requests, from guards and host adapters. Whatever it throws or returns is ignored. It
 * is handed nothing of a closed feature.
 */
export type MetricSink = (sample: MetricSample) => void;
