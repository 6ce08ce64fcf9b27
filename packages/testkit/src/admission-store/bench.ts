import type {
  AdmissionAsk,
  AdmissionLease,
  AdmissionReply,
  AdmissionStore,
  BudgetCaps,
  Clock,
  GateMode,
  ToolRateReply,
} from "@sluice/contract";
import { FakeClock } from "../fake-clock.ts";

interface RateOptions {
  readonly count: number;
  readonly perMs: number;
  readonly burst: number;
  readonly mode?: GateMode;
}

interface DailyBudgetOptions extends BudgetCaps {
  readonly mode?: GateMode;
}

/** What an admission store is created with; an absent mode is `enforce`. */
export interface AdmissionStoreOptions {
  readonly userInFlight?: { readonly limit: number; readonly mode?: GateMode };
  readonly globalInFlight?: { readonly limit: number; readonly mode?: GateMode };
  readonly messageRate?: RateOptions;
  readonly toolRate?: RateOptions;
  /** Of one subject's day, and of all subjects'. */
  readonly userBudget?: DailyBudgetOptions;
  readonly globalBudget?: DailyBudgetOptions;
  /** Where a day begins. Default: UTC. */
  readonly timeZone?: string;
  readonly leaseMs: number;
  readonly maxLeases?: number;
}

/** A store, and what a check waits for before it looks. */
export interface AdmissionHarness {
  readonly store: AdmissionStore;
  /** Resolves once the endings that had come are counted; absent where they count at once. */
  readonly settled?: () => Promise<void>;
}

export type CreateAdmissionStore = (
  options: AdmissionStoreOptions,
  clock: Clock,
) => AdmissionHarness | Promise<AdmissionHarness>;

type Admitted = Extract<AdmissionReply, { admitted: true }>;
type Refused = Extract<AdmissionReply, { admitted: false }>;

export interface Bench {
  readonly store: AdmissionStore;
  readonly clock: FakeClock;
  /** Asks once all endings so far are counted. */
  readonly ask: (subject: string, ask?: AdmissionAsk) => Promise<AdmissionReply>;
  /** Asks, and fails where the store refuses. */
  readonly admitted: (subject: string, ask?: AdmissionAsk) => Promise<Admitted>;
  /** The same for the lease alone. */
  readonly take: (subject: string) => Promise<AdmissionLease>;
  /** Asks, and fails where the store admits. */
  readonly refusal: (subject: string, ask?: AdmissionAsk) => Promise<Refused>;
  /** Asks for one tool call. */
  readonly takeTool: (subject: string, mode?: GateMode) => Promise<ToolRateReply>;
}

/** Runs a check on a store of its own. */
export async function withStore(
  create: CreateAdmissionStore,
  options: AdmissionStoreOptions,
  use: (bench: Bench) => Promise<void>,
): Promise<void> {
  const clock = new FakeClock();
  const { store, settled } = await create(options, clock);
  const ask: Bench["ask"] = async (subject, brings) => {
    await settled?.();
    const reply = await store.acquire(subject, brings);
    if (reply === "unavailable") throw new Error(`unavailable for ${JSON.stringify(subject)}`);
    return reply;
  };
  const admitted: Bench["admitted"] = async (subject, brings) => {
    const reply = await ask(subject, brings);
    if (!reply.admitted) throw new Error(`refused ${subject}: ${reply.reason}`);
    return reply;
  };
  try {
    await use({
      store,
      clock,
      ask,
      admitted,
      take: async (subject) => (await admitted(subject)).lease,
      async refusal(subject, brings) {
        const reply = await ask(subject, brings);
        if (reply.admitted) throw new Error(`admitted ${subject}`);
        return reply;
      },
      async takeTool(subject, mode) {
        const reply = await store.takeTool?.(subject, mode);
        if (reply === undefined) throw new Error("the store has no rate of tool calls");
        if (reply === "unavailable") throw new Error("unavailable for a tool call");
        return reply;
      },
    });
  } finally {
    store.close();
  }
}
