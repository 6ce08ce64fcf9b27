import {
  Reason,
  type AdmissionReply,
  type AdmissionStore,
  type Clock,
  type Verdict,
} from "@sluice/contract";
import type { Gate, GateSetting } from "./gate.ts";

/** A remote store has a shorter deadline of its own; this one is for a store that forgets to answer. */
const answerMs = 2000;

/** Is there capacity? The only gate whose answer may have to be waited for. */
export function admissionGate<In>(
  store: AdmissionStore,
  setting: GateSetting,
  clock: Clock,
): Gate<In> {
  return {
    name: "admission",
    ...setting,
    reason: Reason.STORE_UNAVAILABLE,
    detail: store.describe().join(", "),
    check({ request }) {
      const reply = store.acquire(request.subject);
      return reply instanceof Promise ? inTime(reply, clock) : toVerdict(reply);
    },
  };
}

const unavailable: Verdict = { effect: "indeterminate", reason: Reason.STORE_UNAVAILABLE };

/** The answer, or that there is none in time; a lease that comes too late is given back. */
async function inTime(
  reply: Promise<AdmissionReply | "unavailable">,
  clock: Clock,
): Promise<Verdict> {
  const { promise: tooLate, resolve } = Promise.withResolvers<"too late">();
  const cancel = clock.after(answerMs, () => resolve("too late"));
  try {
    const first = await Promise.race([reply, tooLate]);
    if (first !== "too late") return toVerdict(first);
    void giveBack(reply);
    return unavailable;
  } finally {
    cancel();
  }
}

async function giveBack(reply: Promise<AdmissionReply | "unavailable">): Promise<void> {
  try {
    const late = await reply;
    if (late !== "unavailable" && late.admitted) late.lease.release();
  } catch {
    // It was given up already.
  }
}

function toVerdict(reply: AdmissionReply | "unavailable"): Verdict {
  if (reply === "unavailable") return unavailable;
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
