import type {
  AdmissionAsk,
  BudgetAsk,
  SharedReply,
  SharedReservation,
  Usage,
} from "@sluice/contract";
import {
  withStore,
  type AdmissionStoreOptions,
  type Bench,
  type CreateAdmissionStore,
} from "./bench.ts";

export const price = { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 };

/** 900 tokens at worst. */
export const usual: BudgetAsk = {
  inputTokens: 100,
  outputTokens: 800,
  minOutputTokens: 50,
  price,
};

/** What so many tokens cost. */
export const costOf = ({ inputTokens, outputTokens }: Usage): number =>
  inputTokens * price.inputNanoUsdPerToken + outputTokens * price.outputNanoUsdPerToken;

/** Of the usual call at its worst. */
export const usualTokens = usual.inputTokens + usual.outputTokens;
export const usualCost = costOf(usual);

export type CallBench = Omit<Bench, "take"> & {
  /** Asks for a call, and fails where it is refused. */
  readonly take: (
    subject: string,
    call?: Partial<BudgetAsk>,
    modes?: AdmissionAsk["modes"],
  ) => Promise<SharedReservation>;
  /** Asks for a call, and fails where it is granted. */
  readonly refused: (subject: string, call?: Partial<BudgetAsk>) => ReturnType<Bench["refusal"]>;
  /**
   * The tokens that are left of what caps tokens alone, by asking for all of them; it gives them back. Calls
   * are not to be capped, for it makes one.
   */
  readonly tokensLeft: (subject: string) => Promise<number>;
};

export const callOf = (call: Partial<BudgetAsk> = {}): AdmissionAsk => ({
  budget: { ...usual, ...call },
});

/** Runs a check on a store of its own that has budgets. */
export function withBudgets(
  create: CreateAdmissionStore,
  options: Omit<AdmissionStoreOptions, "leaseMs">,
  use: (bench: CallBench) => Promise<void>,
): Promise<void> {
  return withStore(create, { leaseMs: 1000, ...options }, async (bench) => {
    const take: CallBench["take"] = async (subject, call, modes) => {
      const reply = await bench.admitted(subject, { ...callOf(call), modes });
      if (reply.reservation === undefined) throw new Error(`nothing set aside for ${subject}`);
      return reply.reservation;
    };
    await use({
      ...bench,
      take,
      refused: (subject, call) => bench.refusal(subject, callOf(call)),
      async tokensLeft(subject) {
        const all = { inputTokens: 0, outputTokens: 1e9, minOutputTokens: 0, price: undefined };
        const looking = await take(subject, all);
        looking.void();
        return looking.outputTokens;
      },
    });
  });
}

/** @throws Error where it is refused */
export function granted(reply: SharedReply | "unavailable"): SharedReservation {
  if (reply === "unavailable") throw new Error("unavailable for a further call");
  if (!reply.granted) throw new Error(`refused a further call: ${reply.reason}`);
  return reply.reservation;
}
