import type {
  BudgetAsk,
  BudgetCaps,
  BudgetReservation,
  BudgetStore,
  GateMode,
  Hold,
  OnIndeterminate,
  ProviderAsk,
} from "@sluice/contract";
import { Reason } from "@sluice/contract";
import type { Candidate } from "./candidate.ts";

/** Whether the worst case of a call could be set aside. */
export type ReservationReply =
  | { readonly granted: true; readonly reservation: BudgetReservation }
  | { readonly granted: false; readonly reason: Reason; readonly indeterminate: boolean };

/** Sets aside the worst case of a call: for the gate, and again before each further attempt. */
export interface Reservations<In> {
  readonly detail: string;
  /** What a refusal means for a further attempt. */
  readonly mode: GateMode;
  readonly onIndeterminate: OnIndeterminate;
  /** The worst case of a call; undefined where its prompt can't be counted. */
  worstCase(candidate: Candidate<In>, ask: ProviderAsk<In>): BudgetAsk | undefined;
  reserve(
    run: string | undefined,
    candidate: Candidate<In>,
    ask: ProviderAsk<In>,
    /** An earlier one of the same request, which has no other way to be its own run. */
    earlier?: BudgetReservation,
  ): ReservationReply;
}

export function createReservations<In>(options: {
  readonly caps: BudgetCaps;
  readonly maxOutputTokens: number;
  readonly minOutputTokens: number;
  readonly store: BudgetStore;
  /** Somebody else holds budgets as well, and the prompt counts there. */
  readonly sharesBudgets: boolean;
  readonly mode: GateMode;
  readonly onIndeterminate: OnIndeterminate;
}): Reservations<In> {
  const { caps, maxOutputTokens, minOutputTokens, store, mode, onIndeterminate } = options;
  // Without such a cap the prompt need not be counted.
  const countsPrompt =
    options.sharesBudgets || caps.tokens !== undefined || caps.costNanoUsd !== undefined;
  const worstCase: Reservations<In>["worstCase"] = ({ provider, price }, ask) => {
    // Only without a counter is a prompt 0; what a counter can't tell is not known.
    const inputTokens =
      countsPrompt && provider.inputTokens !== undefined ? provider.inputTokens(ask) : 0;
    if (!Number.isSafeInteger(inputTokens) || inputTokens < 0) return undefined;
    return { inputTokens, outputTokens: maxOutputTokens, minOutputTokens, price };
  };
  return {
    worstCase,
    detail: describeCaps(caps, maxOutputTokens),
    mode,
    onIndeterminate,
    reserve(run, candidate, ask, earlier) {
      const worst = worstCase(candidate, ask);
      if (worst === undefined) {
        return { granted: false, reason: Reason.BUDGET_TOKENS, indeterminate: true };
      }
      const reply =
        run === undefined && earlier !== undefined
          ? earlier.further(caps, worst)
          : store.reserve(run, caps, worst);
      if (reply === "unavailable") {
        return { granted: false, reason: Reason.STORE_UNAVAILABLE, indeterminate: true };
      }
      return reply.granted ? reply : { ...reply, indeterminate: false };
    },
  };
}

function describeCaps(caps: BudgetCaps, maxOutputTokens: number): string {
  const parts: string[] = [];
  if (caps.calls !== undefined) parts.push(`${caps.calls} calls`);
  if (caps.tokens !== undefined) parts.push(`${caps.tokens} tokens`);
  if (caps.costNanoUsd !== undefined) parts.push(`${caps.costNanoUsd} nano-dollars`);
  const ofRun = parts.length === 0 ? "" : `${parts.join(", ")} a run; `;
  return `${ofRun}at most ${maxOutputTokens} output tokens a call`;
}

/** A reservation as a hold: void or settled, as the call ended. */
export function reservationHold(reservation: Pick<BudgetReservation, "void" | "settle">): Hold {
  return {
    kind: "reservation",
    release: (end) => {
      if (end.how === "void") reservation.void();
      else reservation.settle(end.usage);
    },
  };
}
