import type {
  BudgetAsk,
  BudgetCaps,
  BudgetReservation,
  BudgetStore,
  Clock,
  Reason,
} from "@sluice/contract";
import { FakeClock } from "../fake-clock.ts";

export interface BudgetStoreOptions {
  /** Runs held at once. */
  readonly maxRuns?: number;
  /** A run with nothing reserved may be forgotten after so long. */
  readonly runIdleMs?: number;
}

export type CreateBudgetStore = (options: BudgetStoreOptions, clock: Clock) => BudgetStore;

export interface Bench {
  readonly store: BudgetStore;
  readonly clock: FakeClock;
  /** Reserves, and fails where the store refuses. */
  readonly take: (
    run: string | undefined,
    caps: BudgetCaps,
    ask?: Partial<BudgetAsk>,
  ) => BudgetReservation;
  /** Reserves, and fails where the store grants. */
  readonly refusal: (run: string | undefined, caps: BudgetCaps, ask?: Partial<BudgetAsk>) => Reason;
}

export const price = { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 };

/** 900 tokens and 495,000 nano-dollars at worst. */
export const usualAsk: BudgetAsk = {
  inputTokens: 100,
  outputTokens: 800,
  minOutputTokens: 50,
  price,
};

export const nothingUsed = { calls: 0, tokens: 0, costNanoUsd: 0 };

export function openBench(create: CreateBudgetStore, options: BudgetStoreOptions = {}): Bench {
  const clock = new FakeClock();
  const store = create(options, clock);
  return {
    store,
    clock,
    take(run, caps, ask) {
      const reply = store.reserve(run, caps, { ...usualAsk, ...ask });
      if (reply === "unavailable") throw new Error("unavailable");
      if (!reply.granted) throw new Error(`refused: ${reply.reason}`);
      return reply.reservation;
    },
    refusal(run, caps, ask) {
      const reply = store.reserve(run, caps, { ...usualAsk, ...ask });
      if (reply === "unavailable") throw new Error("unavailable");
      if (reply.granted) throw new Error("granted");
      return reply.reason;
    },
  };
}
