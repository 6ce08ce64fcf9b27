import { parseOptions, type BudgetStore, type BudgetUse, type Clock } from "@sluice/contract";
import { add, giveBack, reserve, settle, unused } from "@sluice/policy";
import { z } from "zod";
import { systemClock } from "../system-clock.ts";

const optionsSchema = z.strictObject({
  clock: z.custom<Clock>().optional(),
  /** Runs held at once; a new one beyond it can't be counted, and the budget gate says so. */
  maxRuns: z.int().min(1).max(10_000_000).default(100_000),
  /** A run with nothing reserved is forgotten after so long without a call. */
  runIdleMs: z
    .int()
    .min(1000)
    .default(24 * 60 * 60 * 1000),
});

export type MemoryBudgetsOptions = Readonly<z.input<typeof optionsSchema>>;

/** One run's ledger; `open` counts the reservations that are not settled yet. */
interface Account {
  use: BudgetUse;
  open: number;
  touchedMs: number;
}

/** Budgets of runs in this process's memory: exact, synchronous, gone with the process. */
export function memoryBudgets(options: MemoryBudgetsOptions = {}): BudgetStore {
  const parsed = parseOptions("memoryBudgets", optionsSchema, options);
  const clock = parsed.clock ?? systemClock;
  // In the order of use, so the idle ones are in front.
  const accounts = new Map<string, Account>();

  const forgetIdle = (): void => {
    const now = clock.monotonicMs();
    for (const [run, account] of accounts) {
      if (now - account.touchedMs < parsed.runIdleMs) return;
      if (account.open === 0) accounts.delete(run);
    }
  };

  const accountOf = (run: string | undefined): Account | undefined => {
    if (run === undefined) return { use: unused, open: 0, touchedMs: 0 };
    const known = accounts.get(run);
    if (known !== undefined) accounts.delete(run);
    else if (accounts.size >= parsed.maxRuns) {
      forgetIdle();
      if (accounts.size >= parsed.maxRuns) return undefined;
    }
    const account = known ?? { use: unused, open: 0, touchedMs: 0 };
    account.touchedMs = clock.monotonicMs();
    accounts.set(run, account);
    return account;
  };

  return {
    reserve(run, caps, ask) {
      const account = accountOf(run);
      if (account === undefined) return "unavailable";
      const answer = reserve(account.use, caps, ask);
      if ("refused" in answer) return { granted: false, reason: answer.refused };
      const { reserved } = answer;
      account.use = add(account.use, reserved);
      account.open += 1;
      let open = true;
      const endWith = (use: BudgetUse): void => {
        open = false;
        account.open -= 1;
        account.use = use;
      };
      return {
        granted: true,
        reservation: {
          inputTokens: reserved.inputTokens,
          outputTokens: reserved.outputTokens,
          costNanoUsd: reserved.costNanoUsd,
          settle(usage) {
            if (open) endWith(settle(account.use, reserved, usage));
          },
          void() {
            if (open) endWith(giveBack(account.use, reserved));
          },
        },
      };
    },
    use: (run) => accounts.get(run)?.use ?? unused,
    restore(run, use) {
      const account = accountOf(run);
      if (account !== undefined) account.use = use;
    },
    end(run) {
      accounts.delete(run);
    },
  };
}
