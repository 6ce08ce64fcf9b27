import {
  Reason,
  type BudgetReservation,
  type GateMode,
  type Hold,
  type ProviderAsk,
  type SkipReason,
} from "@sluice/contract";
import type { Candidate } from "./candidate.ts";
import { askPermit } from "./permits.ts";
import { notReadyOf } from "./provider-readiness.ts";
import { reservationHold, type ReservationReply, type Reservations } from "./reservations.ts";
import type { Work } from "./work.ts";

/** What one attempt holds: its reservation and its permit. */
export interface AttemptHolds {
  readonly holds: Hold[];
  readonly reservation: BudgetReservation | undefined;
}

/** Or why the candidate can't be called: the breaker's word, or the budget's. */
export type HoldsReply =
  | AttemptHolds
  | { readonly skip: SkipReason }
  | { readonly refused: Reason };

export interface HoldTaker<In> {
  /** Whether a candidate would be given a permit now, as far as can be told without taking one. */
  isCallable(candidate: Candidate<In>): boolean;
  /** What the gates took for the first attempt. */
  first(work: Work<In>, candidate: Candidate<In>, ask: ProviderAsk<In>): HoldsReply;
  /** For a further attempt. `waited`: what the provider asked to wait has been waited. */
  further(
    work: Work<In>,
    candidate: Candidate<In>,
    ask: ProviderAsk<In>,
    waited: boolean,
  ): HoldsReply;
}

/** Takes for each attempt what the gates take for the first one, by the gates' own modes. */
export function createHoldTaker<In>(options: {
  readonly reservations: Reservations<In> | undefined;
  readonly breakerMode: GateMode;
  /** A prompt's counter or a store threw, which says nothing of what is left. */
  readonly onThrow: () => void;
}): HoldTaker<In> {
  const { reservations, breakerMode, onThrow } = options;

  const askBudget = (
    of: Reservations<In>,
    ...asked: Parameters<Reservations<In>["reserve"]>
  ): ReservationReply => {
    try {
      return of.reserve(...asked);
    } catch {
      onThrow();
      return { granted: false, reason: Reason.STORE_UNAVAILABLE, indeterminate: true };
    }
  };

  const reserve = (
    work: Work<In>,
    candidate: Candidate<In>,
    ask: ProviderAsk<In>,
  ): BudgetReservation | Reason | undefined => {
    if (reservations === undefined || reservations.mode === "off") return undefined;
    const { request, reserved } = work.context;
    const reply = askBudget(reservations, request.run, candidate, ask, reserved?.reservation);
    if (reply.granted) {
      work.context.reserved = { candidate, reservation: reply.reservation };
      return reply.reservation;
    }
    if (reservations.mode === "shadow") return undefined;
    if (reply.indeterminate && reservations.onIndeterminate === "open") return undefined;
    return reply.reason;
  };

  const further: HoldTaker<In>["further"] = (work, candidate, ask, waited) => {
    const holds: Hold[] = [];
    if (breakerMode !== "off") {
      const permit = askPermit(candidate, waited);
      if (typeof permit !== "string") holds.push(permit);
      else if (breakerMode === "enforce") return { skip: permit };
    }
    const reserved = reserve(work, candidate, ask);
    if (typeof reserved === "string") {
      work.release(holds, { how: "void" });
      return { refused: reserved };
    }
    if (reserved !== undefined) holds.push(reservationHold(reserved));
    return { holds, reservation: reserved };
  };

  return {
    isCallable: ({ provider, health }) =>
      breakerMode !== "enforce" ||
      (notReadyOf(provider) === undefined && health.coolingMs() === 0 && health.state !== "open"),
    first(work, candidate, ask) {
      const { reserved } = work.context;
      const holds = work.takeAttemptHolds();
      if (reserved === undefined || reserved.candidate === candidate) {
        return { holds, reservation: reserved?.reservation };
      }
      // The worst case was set aside for another model, at another price.
      const permits = holds.filter(({ kind }) => kind === "permit");
      work.release(
        holds.filter(({ kind }) => kind === "reservation"),
        { how: "void" },
      );
      const again = reserve(work, candidate, ask);
      if (typeof again === "string") {
        work.release(permits, { how: "void" });
        return { refused: again };
      }
      if (again !== undefined) permits.push(reservationHold(again));
      return { holds: permits, reservation: again };
    },
    further,
  };
}
