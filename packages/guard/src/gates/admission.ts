import {
  Reason,
  type AdmissionAsk,
  type AdmissionFigures,
  type AdmissionReply,
  type AdmissionStore,
  type Clock,
  type Switches,
  type Verdict,
} from "@sluice/contract";
import { admissionRules } from "@sluice/policy";
import type { Candidate } from "../candidate.ts";
import { inTime } from "../in-time.ts";
import { reservationHold } from "../reservations.ts";
import type { Gate, GateContext, GateSetting } from "./gate.ts";
import { settingOfRequest } from "./request-setting.ts";

/** The worst case of the call that a request would begin with; undefined where it can't be counted. */
export type FirstCall<In> = (
  context: GateContext<In>,
) => { readonly candidate: Candidate<In>; readonly ask: AdmissionAsk } | undefined;

/** Is there capacity? The only gate whose answer may have to be waited for. */
export function admissionGate<In>(
  store: AdmissionStore,
  setting: GateSetting,
  clock: Clock,
  /** Undefined where nobody shares budgets. */
  firstCall?: FirstCall<In>,
): Gate<In> {
  return {
    name: "admission",
    ...setting,
    reason: Reason.STORE_UNAVAILABLE,
    settingOf: ({ request }) => settingOfRequest(request, setting),
    detail: store.describe().join(", "),
    check(context) {
      const call = firstCall?.(context);
      if (firstCall !== undefined && call === undefined) return uncounted;
      const { subject, switches } = context.request;
      const ask = switches === undefined ? call?.ask : withModes(call?.ask, switches);
      const reply = store.acquire(subject, ask);
      if (!(reply instanceof Promise)) return toVerdict(reply, setting, context, call?.candidate);
      return inTime(reply, clock, giveBack).then((first) =>
        toVerdict(first === "late" ? "unavailable" : first, setting, context, call?.candidate),
      );
    },
  };
}

function withModes(ask: AdmissionAsk | undefined, switches: Switches): AdmissionAsk {
  const { modes } = admissionRules(switches);
  return { ...ask, modes };
}

const uncounted: Verdict = { effect: "indeterminate", reason: Reason.BUDGET_TOKENS };
const unavailable: Verdict = { effect: "indeterminate", reason: Reason.STORE_UNAVAILABLE };

/** A lease that comes too late is given back. */
function giveBack(late: AdmissionReply | "unavailable"): void {
  if (late === "unavailable" || !late.admitted) return;
  late.lease.release();
  late.reservation?.void();
}

function toVerdict<In>(
  reply: AdmissionReply | "unavailable",
  setting: GateSetting,
  context: GateContext<In>,
  candidate: Candidate<In> | undefined,
): Verdict {
  if (reply === "unavailable") return unavailable;
  // As it is: its states may be computed when they are read. What a shadow counts binds nobody.
  const { mode } = settingOfRequest(context.request, setting);
  if (mode === "enforce") context.admission = reply;
  if (!reply.admitted) {
    return {
      effect: "reject",
      reason: reply.reason,
      retryAfterMs: reply.retryAfterMs,
      would: reply.wouldRefuse,
    };
  }
  const { lease, reservation } = reply;
  if (reservation !== undefined && candidate !== undefined) {
    context.shared = { candidate, reservation };
    context.holds.push(reservationHold(reservation));
  }
  return {
    effect: "allow",
    would: reply.wouldRefuse,
    hold: { kind: "lease", release: () => lease.release(), renew: () => lease.renew() },
  };
}

/** What admission counted for a request, without the lease that it gave. */
export function figuresOf<In>({ admission }: GateContext<In>): AdmissionFigures | undefined {
  if (admission === undefined) return undefined;
  return {
    violated: admission.admitted ? undefined : admission.violated,
    get states() {
      return admission.states;
    },
  };
}
