import type {
  BudgetAsk,
  BudgetCaps,
  BudgetStore,
  BudgetUse,
  Clock,
  Reason,
  SharedReply,
  SharedReservation,
} from "@sluice/contract";
import { FakeClock } from "../fake-clock.ts";

export interface BudgetStoreOptions {
  /** Runs held at once. */
  readonly maxRuns?: number;
  /** A run with nothing reserved may be forgotten after so long. */
  readonly runIdleMs?: number;
}

export type CreateBudgetStore = (options: BudgetStoreOptions, clock: Clock) => BudgetStore;

type Reply = SharedReply | "unavailable";

/** Budgets that have names, wherever they are kept. */
export interface NamedBudgets {
  /** Reserves on the budget of that name. What the reservation takes further is held to the same caps. */
  reserve(name: string, caps: BudgetCaps, ask: BudgetAsk): Reply | Promise<Reply>;
  use(name: string): BudgetUse | Promise<BudgetUse>;
  /** Resolves once the endings so far are counted. */
  flush(): void | Promise<void>;
  close(): void;
}

export interface BudgetHarness {
  /** Empty ones, of one check alone. */
  readonly open: () => NamedBudgets | Promise<NamedBudgets>;
  /** The lowest cap they take: 1 where a cap of nothing is refused as a mistake. */
  readonly leastCap: 0 | 1;
  /** Interleavings that are tried. Default 150. */
  readonly traces?: number;
  /** Of budgets of runs: they are restored, ended and forgotten, and answer at once. */
  readonly runs?: CreateBudgetStore;
}

export interface Bench {
  readonly budgets: NamedBudgets;
  /** Reserves, and fails where it is refused. */
  readonly take: (
    name: string,
    caps: BudgetCaps,
    ask?: Partial<BudgetAsk>,
  ) => Promise<SharedReservation>;
  /** Reserves, and fails where it is granted. */
  readonly refusal: (name: string, caps: BudgetCaps, ask?: Partial<BudgetAsk>) => Promise<Reason>;
  /** What it is charged with, endings included. */
  readonly use: (name: string) => Promise<BudgetUse>;
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

/** Runs a check on budgets of its own. */
export async function withBudgets(
  harness: BudgetHarness,
  check: (bench: Bench) => Promise<void>,
): Promise<void> {
  const budgets = await harness.open();
  const ask = async (name: string, caps: BudgetCaps, part: Partial<BudgetAsk> | undefined) => {
    await budgets.flush();
    return budgets.reserve(name, caps, { ...usualAsk, ...part });
  };
  try {
    await check({
      budgets,
      take: async (...of) => granted(await ask(of[0], of[1], of[2])),
      refusal: async (...of) => refused(await ask(of[0], of[1], of[2])),
      async use(name) {
        await budgets.flush();
        return budgets.use(name);
      },
    });
  } finally {
    budgets.close();
  }
}

/** @throws Error where it is refused */
export function granted<Reservation>(
  reply:
    | { readonly granted: true; readonly reservation: Reservation }
    | { readonly granted: false; readonly reason: Reason }
    | "unavailable",
): Reservation {
  if (reply === "unavailable") throw new Error("unavailable");
  if (!reply.granted) throw new Error(`refused: ${reply.reason}`);
  return reply.reservation;
}

/** @throws Error where it is granted */
export function refused(
  reply:
    | { readonly granted: true }
    | { readonly granted: false; readonly reason: Reason }
    | "unavailable",
): Reason {
  if (reply === "unavailable") throw new Error("unavailable");
  if (reply.granted) throw new Error("granted");
  return reply.reason;
}

/** Of a store of runs. */
export function runBudgets(create: CreateBudgetStore): BudgetHarness {
  return {
    leastCap: 0,
    runs: create,
    open() {
      const store = create({}, new FakeClock());
      const toShared = (reply: ReturnType<BudgetStore["reserve"]>, caps: BudgetCaps): Reply => {
        if (reply === "unavailable" || !reply.granted) return reply;
        const { reservation } = reply;
        return {
          granted: true,
          reservation: {
            inputTokens: reservation.inputTokens,
            outputTokens: reservation.outputTokens,
            costNanoUsd: reservation.costNanoUsd,
            settle: (usage) => reservation.settle(usage),
            void: () => reservation.void(),
            further: (ask) => toShared(reservation.further(caps, ask), caps),
          },
        };
      };
      return {
        reserve: (run, caps, ask) => toShared(store.reserve(run, caps, ask), caps),
        use: (run) => store.use(run),
        flush: () => undefined,
        close: () => undefined,
      };
    },
  };
}
