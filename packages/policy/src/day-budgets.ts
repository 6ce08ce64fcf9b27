import type {
  AdmissionAsk,
  BudgetAsk,
  BudgetCaps,
  BudgetUse,
  GateMode,
  Reason,
  Usage,
} from "@sluice/contract";
import {
  add,
  giveBack,
  reserve,
  settle,
  unused,
  worstCase,
  type Reserved,
} from "./budget-ledger.ts";

/** Caps of one day. */
export interface DailyBudget extends BudgetCaps {
  readonly mode: GateMode;
}

export interface DailyBudgets {
  /** Of one subject. */
  readonly userBudget: DailyBudget | undefined;
  /** Of all subjects together. */
  readonly globalBudget: DailyBudget | undefined;
}

/** What was set aside for one call. */
export interface MachineReservation {
  readonly outputTokens: number;
  readonly parts: readonly ReservedPart[];
}

interface ReservedPart {
  readonly account: Account;
  readonly reserved: Reserved;
}

/** Its use is replaced and never changed, so whoever holds one has the figures of that moment. */
interface Account {
  use: BudgetUse;
}

/** The counts of one day. */
interface Ledger {
  readonly day: string;
  readonly all: Account;
  readonly subjects: Map<string, Account>;
}

/** Whose call it is, and by which budgets of which day it is counted. */
export interface BudgetRequest {
  readonly subject: string;
  readonly limits: DailyBudgets;
  readonly day: { readonly name: string };
}

/** What one budget says to a call; nothing is taken yet. */
export interface AskedBudget {
  readonly dimension: "user_budget" | "global_budget";
  readonly mode: GateMode;
  /** Undefined for a subject that nothing was taken for today. */
  readonly account: Account | undefined;
  readonly answer: { readonly reserved: Reserved } | { readonly refused: Reason };
}

/**
 * Budgets of days, for all subjects and for each. It keeps the newest two days, so that a clock that steps
 * back over midnight finds what the day before has used; a day older than both is counted to the older one.
 */
export interface DayBudgets {
  /** What each budget would set aside. `full` when one more subject can't be counted. */
  ask(
    request: BudgetRequest,
    budget: BudgetAsk,
    modes: AdmissionAsk["modes"],
  ): readonly AskedBudget[] | "full";
  /** Sets aside what was asked for just before. One that a shadow would have refused is not charged to it. */
  take(
    request: BudgetRequest,
    budget: BudgetAsk,
    asked: readonly AskedBudget[],
  ): MachineReservation;
  /** Counts what was granted elsewhere, and refuses nothing. */
  charge(request: BudgetRequest, budget: BudgetAsk): MachineReservation | "full";
  settle(reservation: MachineReservation, usage: Usage | undefined): void;
  void(reservation: MachineReservation): void;
  /** What the subject has used that day. */
  userUse(subject: string, day: string): BudgetUse;
  /** What all subjects together have. */
  globalUse(day: string): BudgetUse;
  clear(): void;
}

const dimensions = ["user_budget", "global_budget"] as const;

export function createDayBudgets(maxSubjects: number): DayBudgets {
  let newest = openLedger("");
  let older: Ledger | undefined;

  /** Names of days sort as the days do. */
  const ledgerOf = (day: string): Ledger => {
    if (day === newest.day) return newest;
    if (day > newest.day) {
      older = newest.day === "" ? undefined : newest;
      newest = openLedger(day);
      return newest;
    }
    if (older === undefined || day > older.day) older = openLedger(day);
    return older;
  };

  const accountOf = (ledger: Ledger, subject: string): Account => {
    const known = ledger.subjects.get(subject);
    if (known !== undefined) return known;
    const account = { use: unused };
    ledger.subjects.set(subject, account);
    return account;
  };

  /** One more subject than may be counted. */
  const isFullFor = (ledger: Ledger, { subject, limits }: BudgetRequest): boolean =>
    limits.userBudget !== undefined &&
    ledger.subjects.size >= maxSubjects &&
    !ledger.subjects.has(subject);

  return {
    ask(request, budget, modes) {
      const { subject, limits, day } = request;
      const ledger = ledgerOf(day.name);
      if (isFullFor(ledger, request)) return "full";
      const asked: AskedBudget[] = [];
      for (const dimension of dimensions) {
        const isUser = dimension === "user_budget";
        const caps = isUser ? limits.userBudget : limits.globalBudget;
        if (caps === undefined) continue;
        const account = isUser ? ledger.subjects.get(subject) : ledger.all;
        const mode = modes?.[dimension] ?? caps.mode;
        asked.push({
          dimension,
          mode,
          account,
          answer: reserve(account?.use ?? unused, caps, budget),
        });
      }
      return asked;
    },
    take({ subject, day }, budget, asked) {
      let { outputTokens } = budget;
      for (const { answer, mode } of asked) {
        if ("reserved" in answer && mode === "enforce") {
          outputTokens = Math.min(outputTokens, answer.reserved.outputTokens);
        }
      }
      const parts: ReservedPart[] = [];
      for (const { answer, account } of asked) {
        if ("refused" in answer) continue;
        const least = Math.min(outputTokens, answer.reserved.outputTokens);
        const charged = account ?? accountOf(ledgerOf(day.name), subject);
        parts.push(chargeTo(charged, budget, least));
      }
      return { outputTokens, parts };
    },
    charge(request, budget) {
      const { subject, limits, day } = request;
      const { outputTokens } = budget;
      const ledger = ledgerOf(day.name);
      if (isFullFor(ledger, request)) return "full";
      const parts: ReservedPart[] = [];
      if (limits.userBudget !== undefined) {
        parts.push(chargeTo(accountOf(ledger, subject), budget, outputTokens));
      }
      if (limits.globalBudget !== undefined) {
        parts.push(chargeTo(ledger.all, budget, outputTokens));
      }
      return { outputTokens, parts };
    },
    settle({ parts }, usage) {
      for (const { account, reserved } of parts) {
        account.use = settle(account.use, reserved, usage);
      }
    },
    void({ parts }) {
      for (const { account, reserved } of parts) account.use = giveBack(account.use, reserved);
    },
    userUse: (subject, day) => ledgerOf(day).subjects.get(subject)?.use ?? unused,
    globalUse: (day) => ledgerOf(day).all.use,
    clear() {
      newest = openLedger("");
      older = undefined;
    },
  };
}

function openLedger(day: string): Ledger {
  return { day, all: { use: unused }, subjects: new Map() };
}

function chargeTo(account: Account, budget: BudgetAsk, outputTokens: number): ReservedPart {
  const reserved = worstCase(budget, outputTokens);
  account.use = add(account.use, reserved);
  return { account, reserved };
}
