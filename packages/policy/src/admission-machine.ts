import type {
  AdmissionAsk,
  AdmissionDimension,
  AdmissionState,
  BudgetAsk,
  BudgetCaps,
  BudgetUse,
  GateMode,
  Reason,
  ToolRateReply,
  Usage,
} from "@sluice/contract";
import {
  admit,
  admitTool,
  type AdmissionCounts,
  type AdmissionLimits,
  type RateDimension,
} from "./admit.ts";
import { add, giveBack, reserve, settle, unused, type Reserved } from "./budget-ledger.ts";
import type { Day } from "./day.ts";

/** Caps of one day. */
export interface DailyBudget extends BudgetCaps {
  readonly mode: GateMode;
}

/** Every dimension; an absent one is no limit. */
export interface MachineLimits extends AdmissionLimits {
  readonly toolRate: RateDimension | undefined;
  /** Of one subject. */
  readonly userBudget: DailyBudget | undefined;
  /** Of all subjects together. */
  readonly globalBudget: DailyBudget | undefined;
}

/** A request in flight. */
export interface MachineLease {
  readonly subject: string;
  readonly countsUser: boolean;
  readonly countsGlobal: boolean;
  expiresMs: number;
}

/** What was set aside for one call. */
export interface MachineReservation {
  readonly outputTokens: number;
  readonly parts: readonly { readonly account: Account; readonly reserved: Reserved }[];
}

export type MachineReply =
  | {
      readonly admitted: true;
      readonly lease: MachineLease;
      readonly reservation: MachineReservation | undefined;
      readonly wouldRefuse: readonly Reason[];
      readonly states: readonly AdmissionState[];
    }
  | {
      readonly admitted: false;
      readonly reason: Reason;
      readonly retryAfterMs: number;
      readonly wouldRefuse: readonly Reason[];
      readonly violated: readonly AdmissionDimension[];
      readonly states: readonly AdmissionState[];
    };

export interface MachineRequest {
  readonly subject: string;
  readonly ask: AdmissionAsk | undefined;
  readonly nowMs: number;
  readonly limits: MachineLimits;
  readonly day: Day;
  readonly wallMs: number;
}

/** Admission by the counts of one process. */
export interface AdmissionMachine {
  /** Live leases, and those that nobody has looked at since they expired. */
  readonly size: number;
  /** Decides; every dimension takes its share, or none does. `full` when it can count no more. */
  acquire(request: MachineRequest): MachineReply | "full";
  /** Counts a request that was admitted elsewhere. */
  note(subject: string, nowMs: number): MachineLease;
  renew(lease: MachineLease, nowMs: number): void;
  release(lease: MachineLease): void;
  /** Sets another call's worst case aside. */
  further(
    request: Omit<MachineRequest, "nowMs">,
    ask: BudgetAsk,
  ):
    | { readonly granted: true; readonly reservation: MachineReservation }
    | { readonly granted: false; readonly reason: Reason }
    | "full";
  /** Undefined charges the reservation whole. */
  settle(reservation: MachineReservation, usage: Usage | undefined): void;
  void(reservation: MachineReservation): void;
  takeTool(rate: RateDimension | undefined, nowMs: number): ToolRateReply;
  clear(): void;
}

interface Account {
  use: BudgetUse;
}

interface Asked {
  readonly dimension: "user_budget" | "global_budget";
  readonly mode: GateMode;
  readonly account: Account;
  readonly answer: ReturnType<typeof reserve>;
}

/** Subjects whose day is counted, for each lease that there may be. */
const subjectsPerLease = 10;

export function createAdmissionMachine(leaseMs: number, maxLeases: number): AdmissionMachine {
  const maxSubjects = maxLeases * subjectsPerLease;
  // In the order of expiry: a renewal moves a lease to the end, and all live equally long. A live lease
  // is never evicted to make room; a full store says that it can't tell.
  const leases = new Set<MachineLease>();
  // Only subjects that hold a lease have an entry, so this map is bounded by the leases.
  const bySubject = new Map<string, number>();
  let global = 0;
  let tatMs = 0;
  let toolTatMs = 0;
  let today = "";
  let ofDay: Account = { use: unused };
  const ofSubjects = new Map<string, Account>();

  const release = (lease: MachineLease): void => {
    if (!leases.delete(lease)) return;
    if (lease.countsGlobal) global -= 1;
    if (!lease.countsUser) return;
    const left = (bySubject.get(lease.subject) ?? 1) - 1;
    if (left === 0) bySubject.delete(lease.subject);
    else bySubject.set(lease.subject, left);
  };

  const dropExpired = (nowMs: number): void => {
    for (const lease of leases) {
      if (lease.expiresMs > nowMs) return;
      release(lease);
    }
  };

  const hold = (
    subject: string,
    nowMs: number,
    countsUser: boolean,
    countsGlobal: boolean,
  ): MachineLease => {
    const lease = { subject, countsUser, countsGlobal, expiresMs: nowMs + leaseMs };
    leases.add(lease);
    if (countsGlobal) global += 1;
    if (countsUser) bySubject.set(subject, (bySubject.get(subject) ?? 0) + 1);
    return lease;
  };

  const toDay = (name: string): void => {
    if (name === today) return;
    today = name;
    ofDay = { use: unused };
    ofSubjects.clear();
  };

  /** Undefined when one more subject can't be counted. */
  const accountOf = (subject: string): Account | undefined => {
    const known = ofSubjects.get(subject);
    if (known !== undefined) return known;
    if (ofSubjects.size >= maxSubjects) return undefined;
    const account = { use: unused };
    ofSubjects.set(subject, account);
    return account;
  };

  /** What each budget would set aside; nothing is taken yet. */
  const askBudgets = (
    { subject, ask, limits, day }: Omit<MachineRequest, "nowMs">,
    budget: BudgetAsk | undefined,
  ): readonly Asked[] | "full" => {
    if (budget === undefined) return none;
    toDay(day.name);
    const asked: Asked[] = [];
    for (const dimension of ["user_budget", "global_budget"] as const) {
      const caps = dimension === "user_budget" ? limits.userBudget : limits.globalBudget;
      if (caps === undefined) continue;
      const account = dimension === "user_budget" ? accountOf(subject) : ofDay;
      if (account === undefined) return "full";
      const mode = ask?.modes?.[dimension] ?? caps.mode;
      asked.push({ dimension, mode, account, answer: reserve(account.use, caps, budget) });
    }
    return asked;
  };

  const take = (asked: readonly Asked[], budget: BudgetAsk): MachineReservation | undefined => {
    if (asked.length === 0) return undefined;
    let outputTokens = budget.outputTokens;
    for (const { answer, mode } of asked) {
      if ("reserved" in answer && mode === "enforce") {
        outputTokens = Math.min(outputTokens, answer.reserved.outputTokens);
      }
    }
    const parts: { readonly account: Account; readonly reserved: Reserved }[] = [];
    for (const { account, answer } of asked) {
      // One that a shadow would have refused is not charged to it.
      if ("refused" in answer) continue;
      const least = Math.min(outputTokens, answer.reserved.outputTokens);
      const again = reserve(account.use, {}, { ...budget, outputTokens: least });
      if ("refused" in again) continue;
      account.use = add(account.use, again.reserved);
      parts.push({ account, reserved: again.reserved });
    }
    return { outputTokens, parts };
  };

  const statesOf = (
    { limits, ask, nowMs, subject, day, wallMs }: MachineRequest,
    counted: AdmissionCounts,
  ): readonly AdmissionState[] => {
    const states: AdmissionState[] = [];
    const note = (
      dimension: AdmissionDimension,
      own: GateMode,
      limit: number,
      remaining: number,
      resetMs: number,
      unit?: AdmissionState["unit"],
    ): void => {
      states.push({
        dimension,
        mode: ask?.modes?.[dimension] ?? own,
        ...(unit === undefined ? {} : { unit }),
        limit,
        remaining: Math.max(0, remaining),
        resetMs: Math.max(0, resetMs),
      });
    };
    const { userInFlight, globalInFlight, messageRate, userBudget, globalBudget } = limits;
    if (userInFlight) {
      const { limit, mode } = userInFlight;
      note("user_in_flight", mode, limit, limit - counted.user, 0);
    }
    if (globalInFlight) {
      const { limit, mode } = globalInFlight;
      note("global_in_flight", mode, limit, limit - counted.global, 0);
    }
    if (messageRate) {
      const aheadMs = Math.max(0, counted.tatMs - nowMs);
      const emissionMs = messageRate.perMs / messageRate.count;
      const remaining = Math.floor(messageRate.burst - aheadMs / emissionMs);
      note("message_rate", messageRate.mode, messageRate.burst, remaining, aheadMs);
    }
    for (const [dimension, caps, account] of [
      ["user_budget", userBudget, ofSubjects.get(subject)],
      ["global_budget", globalBudget, ofDay],
    ] as const) {
      if (caps === undefined) continue;
      const use = account === undefined || today !== day.name ? unused : account.use;
      const { limit, spent, unit } = measured(caps, use);
      note(dimension, caps.mode, limit, limit - spent, day.endsMs - wallMs, unit);
    }
    return states;
  };

  return {
    get size() {
      return leases.size;
    },
    acquire(request) {
      const { subject, ask, nowMs, day, wallMs } = request;
      dropExpired(nowMs);
      if (leases.size >= maxLeases) return "full";
      const limits =
        ask?.modes === undefined ? request.limits : withModes(request.limits, ask.modes);
      const counts = { user: bySubject.get(subject) ?? 0, global, tatMs };
      const verdict = admit(counts, limits, nowMs);
      const asked = askBudgets(request, ask?.budget);
      if (asked === "full") return "full";
      let { refused, wouldRefuse, violated } = verdict;
      for (const { dimension, mode, answer } of asked) {
        if (!("refused" in answer) || mode === "off") continue;
        if (mode === "shadow") {
          wouldRefuse = [...wouldRefuse, answer.refused];
          continue;
        }
        violated = [...violated, dimension];
        const retryAfterMs = Math.max(1, day.endsMs - wallMs);
        if (refused === undefined || refused.retryAfterMs < retryAfterMs) {
          refused = { reason: answer.refused, retryAfterMs };
        }
      }
      if (refused !== undefined) {
        const { reason, retryAfterMs } = refused;
        return {
          admitted: false,
          reason,
          retryAfterMs,
          wouldRefuse,
          violated,
          get states() {
            return statesOf(request, counts);
          },
        };
      }
      tatMs = verdict.tatMs;
      const lease = hold(subject, nowMs, verdict.takesUser, verdict.takesGlobal);
      const reservation = ask?.budget === undefined ? undefined : take(asked, ask.budget);
      const counted = { user: bySubject.get(subject) ?? 0, global, tatMs };
      return {
        admitted: true,
        lease,
        reservation,
        wouldRefuse,
        // Only who shows it asks for it.
        get states() {
          return statesOf(request, counted);
        },
      };
    },
    note: (subject, nowMs) => hold(subject, nowMs, true, true),
    renew(lease, nowMs) {
      if (lease.expiresMs <= nowMs || !leases.delete(lease)) return;
      lease.expiresMs = nowMs + leaseMs;
      leases.add(lease);
    },
    release,
    further(request, ask) {
      const asked = askBudgets(request, ask);
      if (asked === "full") return "full";
      for (const { answer, mode } of asked) {
        if ("refused" in answer && mode === "enforce") {
          return { granted: false, reason: answer.refused };
        }
      }
      const reservation = take(asked, ask) ?? { outputTokens: ask.outputTokens, parts: [] };
      return { granted: true, reservation };
    },
    settle({ parts }, usage) {
      for (const { account, reserved } of parts) {
        account.use = settle(account.use, reserved, usage);
      }
    },
    void({ parts }) {
      for (const { account, reserved } of parts) account.use = giveBack(account.use, reserved);
    },
    takeTool(rate, nowMs) {
      const verdict = admitTool(toolTatMs, rate, nowMs);
      toolTatMs = verdict.tatMs;
      return verdict.reply;
    },
    clear() {
      leases.clear();
      bySubject.clear();
      ofSubjects.clear();
      global = 0;
    },
  };
}

const none: readonly Asked[] = [];

function withModes(
  limits: MachineLimits,
  modes: NonNullable<AdmissionAsk["modes"]>,
): AdmissionLimits {
  const { userInFlight, globalInFlight, messageRate } = limits;
  return {
    userInFlight: userInFlight && {
      ...userInFlight,
      mode: modes.user_in_flight ?? userInFlight.mode,
    },
    globalInFlight: globalInFlight && {
      ...globalInFlight,
      mode: modes.global_in_flight ?? globalInFlight.mode,
    },
    messageRate: messageRate && { ...messageRate, mode: modes.message_rate ?? messageRate.mode },
  };
}

/** A budget may cap several things; it is told by the first of them. */
function measured(
  { calls, tokens, costNanoUsd }: BudgetCaps,
  use: BudgetUse,
): { readonly limit: number; readonly spent: number; readonly unit: AdmissionState["unit"] } {
  if (calls !== undefined) return { limit: calls, spent: use.calls, unit: "calls" };
  if (tokens !== undefined) return { limit: tokens, spent: use.tokens, unit: "tokens" };
  return { limit: costNanoUsd ?? 0, spent: use.costNanoUsd, unit: "nano_usd" };
}
