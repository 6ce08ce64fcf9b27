import type {
  AdmissionLease,
  AdmissionReply,
  AdmissionStore,
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

/** What an admission store is created with; an absent mode is `enforce`. */
export interface AdmissionStoreOptions {
  readonly userInFlight?: { readonly limit: number; readonly mode?: GateMode };
  readonly globalInFlight?: { readonly limit: number; readonly mode?: GateMode };
  readonly messageRate?: RateOptions;
  readonly toolRate?: RateOptions;
  readonly leaseMs: number;
  readonly maxLeases?: number;
}

export type CreateAdmissionStore = (
  options: AdmissionStoreOptions,
  clock: Clock,
) => AdmissionStore | Promise<AdmissionStore>;

export interface Bench {
  readonly store: AdmissionStore;
  readonly clock: FakeClock;
  readonly ask: (subject: string) => Promise<AdmissionReply>;
  /** Asks, and fails where the store refuses. */
  readonly take: (subject: string) => Promise<AdmissionLease>;
  /** Asks, and fails where the store admits. */
  readonly refusal: (subject: string) => Promise<Extract<AdmissionReply, { admitted: false }>>;
  /** Asks for one tool call. */
  readonly takeTool: (subject: string) => Promise<ToolRateReply>;
}

/** Runs a check on a store of its own. */
export async function withStore(
  create: CreateAdmissionStore,
  options: AdmissionStoreOptions,
  use: (bench: Bench) => Promise<void>,
): Promise<void> {
  const clock = new FakeClock();
  const store = await create(options, clock);
  const ask = async (subject: string): Promise<AdmissionReply> => {
    const reply = await store.acquire(subject);
    if (reply === "unavailable") throw new Error(`unavailable for ${JSON.stringify(subject)}`);
    return reply;
  };
  try {
    await use({
      store,
      clock,
      ask,
      async take(subject) {
        const reply = await ask(subject);
        if (!reply.admitted) throw new Error(`refused ${subject}: ${reply.reason}`);
        return reply.lease;
      },
      async refusal(subject) {
        const reply = await ask(subject);
        if (reply.admitted) throw new Error(`admitted ${subject}`);
        return reply;
      },
      async takeTool(subject) {
        const reply = await store.takeTool?.(subject);
        if (reply === undefined) throw new Error("the store has no rate of tool calls");
        if (reply === "unavailable") throw new Error("unavailable for a tool call");
        return reply;
      },
    });
  } finally {
    store.close();
  }
}
