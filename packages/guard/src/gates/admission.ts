import { Reason, type AdmissionReply, type AdmissionStore, type Verdict } from "@sluice/contract";
import type { Gate, GateSetting } from "./gate.ts";

/** Is there capacity? The only gate whose answer may have to be waited for. */
export function admissionGate<In>(store: AdmissionStore, setting: GateSetting): Gate<In> {
  return {
    name: "admission",
    ...setting,
    reason: Reason.STORE_UNAVAILABLE,
    detail: store.describe().join(", "),
    check({ request }) {
      const reply = store.acquire(request.subject);
      return reply instanceof Promise ? reply.then(toVerdict) : toVerdict(reply);
    },
  };
}

function toVerdict(reply: AdmissionReply | "unavailable"): Verdict {
  if (reply === "unavailable") {
    return { effect: "indeterminate", reason: Reason.STORE_UNAVAILABLE };
  }
  if (!reply.admitted) {
    return {
      effect: "reject",
      reason: reply.reason,
      retryAfterMs: reply.retryAfterMs,
      would: reply.wouldRefuse,
    };
  }
  const { lease } = reply;
  return {
    effect: "allow",
    would: reply.wouldRefuse,
    hold: { kind: "lease", release: () => lease.release(), renew: () => lease.renew() },
  };
}
