import type { BudgetReply, BudgetReservation, BudgetStore } from "@sluice/contract";

/** A budget store that tells when a reservation ended: what it set aside too much is free again. */
export interface WatchedBudgets {
  readonly store: BudgetStore;
  /** Counts up with each reservation that ended. */
  readonly ended: number;
  /** Resolves when the next one ends. */
  nextEnd(): Promise<void>;
}

export function watchBudgets(store: BudgetStore): WatchedBudgets {
  let ended = 0;
  let next = Promise.withResolvers<void>();

  const tell = (): void => {
    ended += 1;
    next.resolve();
    next = Promise.withResolvers<void>();
  };

  const watch = (reservation: BudgetReservation): BudgetReservation => ({
    inputTokens: reservation.inputTokens,
    outputTokens: reservation.outputTokens,
    costNanoUsd: reservation.costNanoUsd,
    settle(usage) {
      reservation.settle(usage);
      tell();
    },
    void() {
      reservation.void();
      tell();
    },
    further: (caps, ask) => watchReply(reservation.further(caps, ask)),
  });

  const watchReply = (reply: BudgetReply | "unavailable"): BudgetReply | "unavailable" =>
    reply === "unavailable" || !reply.granted
      ? reply
      : { granted: true, reservation: watch(reply.reservation) };

  return {
    store: {
      reserve: (run, caps, ask) => watchReply(store.reserve(run, caps, ask)),
      use: (run) => store.use(run),
      restore: (run, use) => store.restore(run, use),
      end: (run) => store.end(run),
    },
    get ended() {
      return ended;
    },
    nextEnd: () => next.promise,
  };
}
