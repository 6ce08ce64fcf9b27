import {
  Reason,
  type BudgetReservation,
  type Clock,
  type GateMode,
  type Hold,
  type ProviderAsk,
  type SharedReply,
  type SkipReason,
} from "@sluice/contract";
import type { Candidate } from "./candidate.ts";
import { inTime } from "./in-time.ts";
import { askPermit } from "./permits.ts";
import { notReadyOf } from "./provider-readiness.ts";
import type { GateSetting } from "./gates/gate.ts";
import { settingOfRequest } from "./gates/request-setting.ts";
import { reservationHold, type ReservationReply, type Reservations } from "./reservations.ts";
import type { Work } from "./work.ts";

/** What a call may use at most. */
export type Reserved = Pick<BudgetReservation, "inputTokens" | "outputTokens" | "costNanoUsd">;

/** What one attempt holds: its reservations and its permit. */
export interface AttemptHolds {
  readonly holds: Hold[];
  /** The least that is set aside for it, by the run and by shared budgets; undefined without either. */
  readonly reservation: Reserved | undefined;
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
  first(
    work: Work<In>,
    candidate: Candidate<In>,
    ask: ProviderAsk<In>,
  ): HoldsReply | Promise<HoldsReply>;
  /** For a further attempt. `waited`: what the provider asked to wait has been waited. */
  further(
    work: Work<In>,
    candidate: Candidate<In>,
    ask: ProviderAsk<In>,
    waited: boolean,
  ): HoldsReply | Promise<HoldsReply>;
}

/** Takes for each attempt what the gates take for the first one, by the gates' own modes. */
export function createHoldTaker<In>(options: {
  readonly reservations: Reservations<In> | undefined;
  readonly breakerMode: GateMode;
  /** How the admission store's word on shared budgets is obeyed. */
  readonly admission: GateSetting;
  readonly clock: Clock;
  /** A prompt's counter or a store threw, which says nothing of what is left. */
  readonly onThrow: () => void;
}): HoldTaker<In> {
  const { reservations, breakerMode, admission, clock, onThrow } = options;

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

  /** Adds what the shared budgets set aside for a further call of the request. */
  const share = (
    work: Work<In>,
    candidate: Candidate<In>,
    ask: ProviderAsk<In>,
    taken: AttemptHolds,
  ): HoldsReply | Promise<HoldsReply> => {
    const { shared } = work.context;
    const worst = shared && reservations?.worstCase(candidate, ask);
    if (shared === undefined || worst === undefined) return taken;
    const left = taken.reservation?.outputTokens ?? worst.outputTokens;
    const wanted = { ...worst, outputTokens: Math.min(worst.outputTokens, left) };
    const join = (reply: SharedReply | "unavailable"): HoldsReply => {
      if (reply !== "unavailable" && reply.granted) {
        const { reservation } = reply;
        work.context.shared = { candidate, reservation };
        const holds = [...taken.holds, reservationHold(reservation)];
        return { holds, reservation: least(taken.reservation, reservation) };
      }
      const { mode, onIndeterminate } = settingOfRequest(work.context.request, admission);
      const isOpen = reply === "unavailable" && onIndeterminate === "open";
      if (isOpen || mode !== "enforce") return taken;
      work.release(taken.holds, { how: "void" });
      return { refused: reply === "unavailable" ? Reason.STORE_UNAVAILABLE : reply.reason };
    };
    try {
      const reply = shared.reservation.further(wanted);
      if (!(reply instanceof Promise)) return join(reply);
      return inTime(reply, clock, giveBack).then(
        (first) => join(first === "late" ? "unavailable" : first),
        () => join("unavailable"),
      );
    } catch {
      onThrow();
      return join("unavailable");
    }
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
    return share(work, candidate, ask, { holds, reservation: reserved });
  };

  return {
    isCallable: ({ provider, health }) =>
      breakerMode !== "enforce" ||
      (notReadyOf(provider) === undefined && health.coolingMs() === 0 && health.state !== "open"),
    first(work, candidate, ask) {
      const { reserved, shared } = work.context;
      const holds = work.takeAttemptHolds();
      const isForIt = (of: typeof reserved | typeof shared): boolean =>
        of === undefined || of.candidate === candidate;
      if (isForIt(reserved) && isForIt(shared)) {
        return { holds, reservation: least(reserved?.reservation, shared?.reservation) };
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
      return share(work, candidate, ask, { holds: permits, reservation: again });
    },
    further,
  };
}

/** What comes too late was set aside for nobody. */
function giveBack(late: SharedReply | "unavailable"): void {
  if (late !== "unavailable" && late.granted) late.reservation.void();
}

/** What both leave: the smaller output, and the price of it as the run counts it. */
export function least(
  one: Reserved | undefined,
  other: Reserved | undefined,
): Reserved | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.outputTokens < one.outputTokens ? other : one;
}
