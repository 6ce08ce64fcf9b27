import {
  Reason,
  type AdmissionAsk,
  type AdmissionDimension,
  type GateMode,
  type ToolRateReply,
} from "@sluice/contract";
import { gcra, type RateLimit } from "./gcra.ts";

export interface InFlightLimit {
  readonly limit: number;
  readonly mode: GateMode;
}

/** A rate with its mode. */
export interface RateDimension extends RateLimit {
  readonly mode: GateMode;
}

export interface AdmissionLimits {
  readonly userInFlight: InFlightLimit | undefined;
  readonly globalInFlight: InFlightLimit | undefined;
  readonly messageRate: RateDimension | undefined;
}

/** What is counted now. */
export interface AdmissionCounts {
  readonly user: number;
  readonly global: number;
  readonly tatMs: number;
}

export interface AdmissionVerdict {
  readonly refused: { readonly reason: Reason; readonly retryAfterMs: number } | undefined;
  /** Every dimension that refused. */
  readonly violated: readonly AdmissionDimension[];
  /** Dimensions in shadow that would have refused. */
  readonly wouldRefuse: readonly Reason[];
  /** Whether the request takes a place in the dimension; one that a shadow would have refused does not. */
  readonly takesUser: boolean;
  readonly takesGlobal: boolean;
  /** The rate's state afterwards; unchanged when refused or when a shadow would have refused. */
  readonly tatMs: number;
}

/** Nothing tells when a place becomes free, so a caller is asked to come back in a second. */
const inFlightRetryMs = 1000;
const none: readonly never[] = [];

/**
 * Checks every dimension before any is committed; the caller commits all of them or none.
 * @param modes stand in for the limits' own
 */
export function admit(
  counts: AdmissionCounts,
  limits: AdmissionLimits,
  nowMs: number,
  modes?: AdmissionAsk["modes"],
): AdmissionVerdict {
  let refused: AdmissionVerdict["refused"];
  let wouldRefuse: Reason[] | undefined;
  let violated: AdmissionDimension[] | undefined;
  const refuse = (
    mode: GateMode,
    reason: Reason,
    dimension: AdmissionDimension,
    retryAfterMs: number,
  ): void => {
    if (mode === "shadow") {
      (wouldRefuse ??= []).push(reason);
      return;
    }
    (violated ??= []).push(dimension);
    // The longest wait counts: an earlier try would meet the other limit.
    if (refused === undefined || refused.retryAfterMs < retryAfterMs) {
      refused = { reason, retryAfterMs };
    }
  };

  const { userInFlight, globalInFlight, messageRate } = limits;
  const userMode = modes?.user_in_flight ?? userInFlight?.mode ?? "off";
  const globalMode = modes?.global_in_flight ?? globalInFlight?.mode ?? "off";
  const userFull = isFull(userInFlight, userMode, counts.user);
  const globalFull = isFull(globalInFlight, globalMode, counts.global);
  if (userFull) refuse(userMode, Reason.USER_IN_FLIGHT, "user_in_flight", inFlightRetryMs);
  if (globalFull) {
    refuse(globalMode, Reason.GLOBAL_IN_FLIGHT, "global_in_flight", inFlightRetryMs);
  }
  let tatMs = counts.tatMs;
  const rateMode = modes?.message_rate ?? messageRate?.mode ?? "off";
  if (messageRate !== undefined && rateMode !== "off") {
    const rate = gcra(counts.tatMs, nowMs, messageRate);
    if (rate.allowed) tatMs = rate.tatMs;
    else refuse(rateMode, Reason.MESSAGE_RATE, "message_rate", rate.retryAfterMs);
  }
  return {
    refused,
    violated: violated ?? none,
    wouldRefuse: wouldRefuse ?? none,
    takesUser: !userFull,
    takesGlobal: !globalFull,
    tatMs: refused === undefined ? tatMs : counts.tatMs,
  };
}

export interface ToolRateVerdict {
  readonly reply: ToolRateReply;
  /** The rate's state afterwards; unchanged when refused or when a shadow would have refused. */
  readonly tatMs: number;
}

const allowed: ToolRateReply = { allowed: true };
const wouldRefuse: ToolRateReply = { allowed: true, would: Reason.TOOL_RATE };

/**
 * Decides on one tool call, apart from the request that it runs for.
 * @param mode stands in for the rate's own
 */
export function admitTool(
  tatMs: number,
  rate: RateDimension | undefined,
  nowMs: number,
  mode: GateMode = rate?.mode ?? "off",
): ToolRateVerdict {
  if (rate === undefined || mode === "off") return { reply: allowed, tatMs };
  const verdict = gcra(tatMs, nowMs, rate);
  if (verdict.allowed) return { reply: allowed, tatMs: verdict.tatMs };
  if (mode === "shadow") return { reply: wouldRefuse, tatMs };
  const { retryAfterMs } = verdict;
  return { reply: { allowed: false, reason: Reason.TOOL_RATE, retryAfterMs }, tatMs };
}

function isFull(dimension: InFlightLimit | undefined, mode: GateMode, count: number): boolean {
  return dimension !== undefined && mode !== "off" && count >= dimension.limit;
}
