import type { AdmissionLease, GateMode } from "@sluice/contract";
import type { SubjectAnswer } from "./subject-calls.ts";
import { beside, full, ownedByAnother } from "./subject-lease-script.ts";

export type SubjectReply =
  | {
      readonly isAdmitted: true;
      readonly lease: AdmissionLease;
      /** A shadow that would have refused; it is not counted. */
      readonly isBeside: boolean;
      /** The subject's requests in flight, with this one. */
      readonly inUse: number;
    }
  | {
      readonly isAdmitted: false;
      readonly inUse: number;
      /** Until another process may have given the subject up; undefined where the limit is reached. */
      readonly movesInMs: number | undefined;
    };
/** A claim is renewed so often in its lease time. */
export const renewalsPerLease = 3;

/** For one that Redis refused; undefined for an answer of another kind. */
export function toRefusal(
  { status, inSet, claimEndsInMs }: SubjectAnswer,
  mode: GateMode,
  { limit, claimMs }: { readonly limit: number; readonly claimMs: number },
): SubjectReply | undefined {
  if (status === full || status === beside) return fullReply(mode, inSet);
  if (status !== ownedByAnother) return undefined;
  // How many the other let in is not known here.
  if (mode === "shadow") return fullReply(mode, limit);
  // Its owner hears of it with its next renewal.
  const afterRenewalMs = claimMs - claimMs / renewalsPerLease;
  const movesInMs = claimEndsInMs > afterRenewalMs ? claimEndsInMs - afterRenewalMs : claimEndsInMs;
  return { isAdmitted: false, inUse: limit, movesInMs: Math.max(1, movesInMs) };
}

const uncounted: AdmissionLease = Object.freeze({
  release: () => undefined,
  renew: () => undefined,
});

export function fullReply(mode: GateMode, inUse: number): SubjectReply {
  if (mode !== "shadow") return { isAdmitted: false, inUse, movesInMs: undefined };
  return { isAdmitted: true, lease: uncounted, isBeside: true, inUse };
}
