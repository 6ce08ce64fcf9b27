import {
  ConfigError,
  parseOptions,
  type BudgetAsk,
  type BudgetCaps,
  type BudgetReply,
  type BudgetStore,
  type BudgetUse,
} from "@sluice/contract";
import { add, giveBack, reserve, settle, unused } from "@sluice/policy";
import { z } from "zod";
import { clockSchema, systemClock } from "../system-clock.ts";

const optionsSchema = z.strictObject({
  clock: clockSchema.optional(),
  /** Runs held at once; a new one beyond it can't be counted, and the budget gate says so. */
  maxRuns: z.int().min(1).max(10_000_000).default(100_000),
  /** A run with nothing reserved is forgotten after so long without a call. */
  runIdleMs: z
    .int()
    .min(1000)
    .default(24 * 60 * 60 * 1000),
});

export type MemoryBudgetsOptions = Readonly<z.input<typeof optionsSchema>>;

const figure = z.int().min(0);
const useSchema = z.strictObject({ calls: figure, tokens: figure, costNanoUsd: figure });

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

  /** A run that used nothing is as good as a new one. */
  const forgetUnused = (run: string | undefined, account: Account): void => {
    const { open, use } = account;
    if (open + use.calls + use.tokens + use.costNanoUsd > 0 || run === undefined) return;
    // A run of the same name may have begun since this one was ended.
    if (accounts.get(run) === account) accounts.delete(run);
  };

  const reserveOn = (
    account: Account,
    run: string | undefined,
    caps: BudgetCaps,
    ask: BudgetAsk,
  ): BudgetReply => {
    const answer = reserve(account.use, caps, ask);
    if ("refused" in answer) {
      forgetUnused(run, account);
      return { granted: false, reason: answer.refused };
    }
    const { reserved } = answer;
    account.use = add(account.use, reserved);
    account.open += 1;
    let open = true;
    const endWith = (use: BudgetUse): void => {
      open = false;
      account.open -= 1;
      account.use = use;
      forgetUnused(run, account);
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
        further: (moreCaps, moreAsk) => reserveOn(account, run, moreCaps, moreAsk),
      },
    };
  };

  return {
    reserve(run, caps, ask) {
      const account = accountOf(run);
      return account === undefined ? "unavailable" : reserveOn(account, run, caps, ask);
    },
    use: (run) => accounts.get(run)?.use ?? unused,
    restore(run, use) {
      const before = parseOptions("budget.restore", useSchema, use);
      const account = accountOf(run);
      // Whatever is not restored would be spent twice.
      if (account === undefined) {
        throw new ConfigError({
          option: "memoryBudgets.maxRuns",
          got: `${parsed.maxRuns} runs`,
          expected: "room for one that is restored",
        });
      }
      if (account.open > 0) {
        throw new ConfigError({
          option: "budget.restore",
          got: "a run with calls under way",
          expected: "one that has not begun in this process",
        });
      }
      account.use = before;
    },
    end(run) {
      accounts.delete(run);
    },
  };
}
