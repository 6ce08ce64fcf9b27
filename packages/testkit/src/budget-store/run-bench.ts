import type {
  BudgetAsk,
  BudgetCaps,
  BudgetReservation,
  BudgetStore,
  Reason,
} from "@sluice/contract";
import { FakeClock } from "../fake-clock.ts";
import {
  granted,
  refused,
  usualAsk,
  type BudgetStoreOptions,
  type CreateBudgetStore,
} from "./bench.ts";

export interface RunBench {
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

export function openRuns(create: CreateBudgetStore, options: BudgetStoreOptions = {}): RunBench {
  const clock = new FakeClock();
  const store = create(options, clock);
  return {
    store,
    clock,
    take: (run, caps, ask) => granted(store.reserve(run, caps, { ...usualAsk, ...ask })),
    refusal: (run, caps, ask) => refused(store.reserve(run, caps, { ...usualAsk, ...ask })),
  };
}
