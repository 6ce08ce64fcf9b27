import type {
  AdmissionAsk,
  AdmissionLease,
  AdmissionReply,
  BudgetAsk,
  Clock,
  SharedReservation,
} from "@sluice/contract";
import type { Day } from "@sluice/policy";
import type { Leases } from "./leases.ts";
import type { LocalAdmission } from "./local-admission.ts";
import type { RemoteAnswer } from "./remote-store.ts";
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
    const { call, answer } = replied;
    const outputTokens = answer.granted ?? budget.outputTokens;
    return sharedReservation({
      id: call.id,
      key: call.budgetKey,
      ask: budget,
      outputTokens,
      upkeep,
      also: warm?.charge(subject, { ...budget, outputTokens }, day),
      further: async (more) => further(subject, ask, more),
    });
  };

  return {
    toReply(subject, ask, day, replied) {
      const { call, answer } = replied;
      const { isInside } = answer;
      const held = leases.hold(
        call.id,
        call.inFlightKeys.map((key, index) => (isInside[index] === true ? key : `${key}:over`)),
      );
      const reservation =
        ask?.budget && answer.granted !== undefined
          ? toReservation(subject, ask, ask.budget, day, replied)
          : undefined;
      return {
        admitted: true,
        lease: toLease(held, subject, ask, day),
        ...(reservation && { reservation }),
        wouldRefuse: answer.would.map(({ reason }) => reason),
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
