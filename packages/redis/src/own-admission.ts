import type { AdmissionAsk, AdmissionLease, AdmissionReply, Reason } from "@sluice/contract";
import type { BlockAdmitted } from "./block-admission.ts";

/** What is counted beside global limits, for a request that has its place and its message out of blocks. */
export interface OwnAdmission {
  /** All or none: what refuses gives the place and the message back to the block. */
  decide(
    subject: string,
    ask: AdmissionAsk | undefined,
    taken: BlockAdmitted,
  ): OwnReply | Promise<OwnReply>;
}
export type OwnReply = AdmissionReply | "unavailable";

/** One lease for what is held in two places. */
export const bothLeases = (own: AdmissionLease, taken: AdmissionLease): AdmissionLease => ({
  release() {
    own.release();
    taken.release();
  },
  renew() {
    own.renew();
    taken.renew();
  },
});

/** With what shadows of global limits would have refused. */
export const bothRefuse = (
  own: readonly Reason[],
  taken: Pick<BlockAdmitted, "wouldRefuse">,
): readonly Reason[] => (taken.wouldRefuse.length === 0 ? own : [...own, ...taken.wouldRefuse]);
