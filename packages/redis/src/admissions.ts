import type {
  AdmissionAsk,
  AdmissionLease,
  AdmissionReply,
  BudgetAsk,
  Clock,
  Reason,
  SharedReservation,
} from "@sluice/contract";
import type { Day } from "@sluice/policy";
import type { Leases } from "./leases.ts";
import type { LocalAdmission } from "./local-admission.ts";
import type { RemoteAnswer } from "./question.ts";
import { sharedReservation } from "./shared-reservation.ts";
import type { Upkeep } from "./upkeep.ts";

/** What is handed out for what Redis admitted. */
export interface Admissions {
  toReply(
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
    replied: RemoteAnswer,
  ): AdmissionReply;
  toReservation(
    subject: string,
    ask: AdmissionAsk,
    budget: BudgetAsk,
    day: Day,
    replied: RemoteAnswer,
  ): SharedReservation;
  /** For one that was admitted here: what may have to go on alone sees it. */
  toLease(
    held: AdmissionLease,
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
  ): AdmissionLease;
}

const noReasons: readonly Reason[] = Object.freeze([]);
const toReason = ({ reason }: { readonly reason: Reason }): Reason => reason;

export function createAdmissions(parts: {
  readonly clock: Clock;
  readonly leases: Leases;
  readonly upkeep: Upkeep;
  /** Sees what was admitted, where it may have to go on alone. */
  readonly warm: LocalAdmission | undefined;
  /** Another call of the same request. */
  readonly further: (
    subject: string,
    ask: AdmissionAsk,
    budget: BudgetAsk,
  ) => ReturnType<SharedReservation["further"]>;
}): Admissions {
  const { clock, leases, upkeep, warm, further } = parts;

  const toLease: Admissions["toLease"] = (held, ...who) => {
    const noted = warm?.note(...who);
    if (warm === undefined || noted === undefined) return held;
    return {
      release() {
        held.release();
        warm.machine.release(noted);
      },
      renew() {
        held.renew();
        warm.machine.renew(noted, clock.monotonicMs());
      },
    };
  };

  const toReservation: Admissions["toReservation"] = (subject, ask, budget, day, replied) => {
    const { call, answer, lane } = replied;
    const outputTokens = answer.granted ?? budget.outputTokens;
    return sharedReservation({
      id: call.id,
      reserved: lane.reserved,
      ask: budget,
      outputTokens,
      upkeep,
      also: warm?.charge(subject, { ...budget, outputTokens }, day),
      further: async (more) => further(subject, ask, more),
    });
  };

  return {
    toReply(subject, ask, day, replied) {
      const { call, answer, lane } = replied;
      const held = leases.hold(call.id, call.subject, lane.countedBy(answer.insideBits));
      const reservation =
        ask?.budget && answer.granted !== undefined
          ? toReservation(subject, ask, ask.budget, day, replied)
          : undefined;
      return {
        admitted: true,
        lease: toLease(held, subject, ask, day),
        reservation,
        wouldRefuse: answer.would.length === 0 ? noReasons : answer.would.map(toReason),
        // Only who shows it asks for it.
        get states() {
          return answer.states;
        },
      };
    },
    toReservation,
    toLease,
  };
}
