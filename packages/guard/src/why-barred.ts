import { FailureCode, Reason, type Clock } from "@sluice/contract";
import type { Safety } from "./safety.ts";
import type { Tripwire } from "./tripwire.ts";
import type { Work } from "./work.ts";

export interface Bars {
  readonly safety: Safety;
  readonly tripwire: Tripwire;
  readonly clock: Clock;
}

/** Why no attempt may start and no tool may run: the feature is shut, or the run has tripped. */
export function shutReason<In>(bars: Bars, work: Work<In>): Reason | undefined {
  const shut = bars.safety.shut();
  if (shut !== undefined) return shut.reason;
  return bars.tripwire.hasTripped(work.context.request.run) ? Reason.TRIPPED : undefined;
}

/** Looked at before every attempt, whatever led to it. */
export function whyBarred<In>(
  bars: Bars,
  work: Work<In>,
  deadlineMs: number,
):
  | { readonly kind: "shut"; readonly reason: Reason }
  | { readonly kind: "failed"; readonly code: FailureCode }
  | undefined {
  const reason = shutReason(bars, work);
  if (reason !== undefined) return { kind: "shut", reason };
  const { stopped } = work;
  if (stopped?.kind === "shut") return { kind: "shut", reason: stopped.reason };
  if (stopped?.kind === "client" || work.context.request.signal?.aborted === true) {
    return { kind: "failed", code: FailureCode.CLIENT_ABORTED };
  }
  if (bars.clock.monotonicMs() >= deadlineMs) {
    return { kind: "failed", code: FailureCode.PROVIDER_TIMEOUT };
  }
  return undefined;
}
