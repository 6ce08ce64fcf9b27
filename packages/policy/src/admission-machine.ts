import type {
  AdmissionAsk,
  AdmissionDimension,
  AdmissionState,
  BudgetAsk,
  GateMode,
  Reason,
  ToolRateReply,
  Usage,
} from "@sluice/contract";
import { statesAt, type CountsAtAnswer } from "./admission-states.ts";
import { admit, admitTool, type AdmissionLimits, type RateDimension } from "./admit.ts";
import {
  createDayBudgets,
  type AskedBudget,
  type DailyBudgets,
  type MachineReservation,
} from "./day-budgets.ts";
import type { Day } from "./day.ts";

/** Every dimension; an absent one is no limit. */
export interface MachineLimits extends AdmissionLimits, DailyBudgets {
  readonly toolRate: RateDimension | undefined;
}

/** A request in flight. */
export interface MachineLease {
  readonly subject: string;
  readonly countsUser: boolean;
  readonly countsGlobal: boolean;
  expiresMs: number;
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
  /** Counts what was granted elsewhere in each budget that the limits have, and refuses nothing. */
  charge(
    request: Pick<MachineRequest, "subject" | "limits" | "day">,
    budget: BudgetAsk,
  ): MachineReservation | "full";
  /** Undefined charges the reservation whole. */
  settle(reservation: MachineReservation, usage: Usage | undefined): void;
  void(reservation: MachineReservation): void;
  /** @param mode stands in for the rate's own */
  takeTool(rate: RateDimension | undefined, nowMs: number, mode?: GateMode): ToolRateReply;
  clear(): void;
}

type Counts = { -readonly [Name in keyof CountsAtAnswer]: CountsAtAnswer[Name] };

/** Subjects whose day is counted, for each lease that there may be. */
const subjectsPerLease = 10;

export function createAdmissionMachine(leaseMs: number, maxLeases: number): AdmissionMachine {
  // In the order of expiry: a renewal moves a lease to the end, and all live equally long. A live lease
  // is never evicted to make room; a full store says that it can't tell.
  const leases = new Set<MachineLease>();
  // Only subjects that hold a lease have an entry, so this map is bounded by the leases.
  const bySubject = new Map<string, number>();
  let global = 0;
  let tatMs = 0;
  let toolTatMs = 0;
  const budgets = createDayBudgets(maxLeases * subjectsPerLease);

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

  const countsOf = ({ subject, limits, nowMs, day, wallMs }: MachineRequest): Counts => ({
    user: bySubject.get(subject) ?? 0,
    global,
    tatMs,
    nowMs,
    userUse: limits.userBudget && budgets.userUse(subject, day.name),
    globalUse: limits.globalBudget && budgets.globalUse(day.name),
    dayEndsInMs: day.endsMs - wallMs,
  });

  return {
    get size() {
      return leases.size;
    },
    acquire(request) {
      const { subject, ask, nowMs, limits, day, wallMs } = request;
      const modes = ask?.modes;
      const budget = ask?.budget;
      dropExpired(nowMs);
      if (leases.size >= maxLeases) return "full";
      const counts = countsOf(request);
      const verdict = admit(counts, limits, nowMs, modes);
      const asked = budget === undefined ? none : budgets.ask(request, budget, modes);
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
        return {
          admitted: false,
          reason: refused.reason,
          retryAfterMs: refused.retryAfterMs,
          wouldRefuse,
          violated,
          // Only who shows it asks for it.
          get states() {
            return statesAt(counts, limits, modes);
          },
        };
      }
      tatMs = verdict.tatMs;
      const lease = hold(subject, nowMs, verdict.takesUser, verdict.takesGlobal);
      let reservation: MachineReservation | undefined;
      if (budget !== undefined && asked.length > 0) {
        reservation = budgets.take(request, budget, asked);
        counts.userUse = limits.userBudget && budgets.userUse(subject, day.name);
        counts.globalUse = limits.globalBudget && budgets.globalUse(day.name);
      }
      counts.tatMs = tatMs;
      if (verdict.takesUser) counts.user += 1;
      if (verdict.takesGlobal) counts.global += 1;
      return {
        admitted: true,
        lease,
        reservation,
        wouldRefuse,
        get states() {
          return statesAt(counts, limits, modes);
        },
      };
    },
    renew(lease, nowMs) {
      if (lease.expiresMs <= nowMs || !leases.delete(lease)) return;
      lease.expiresMs = nowMs + leaseMs;
      leases.add(lease);
    },
    release,
    further(request, budget) {
      const asked = budgets.ask(request, budget, request.ask?.modes);
      if (asked === "full") return "full";
      for (const { answer, mode } of asked) {
        if ("refused" in answer && mode === "enforce") {
          return { granted: false, reason: answer.refused };
        }
      }
      return { granted: true, reservation: budgets.take(request, budget, asked) };
    },
    charge: (request, budget) => budgets.charge(request, budget),
    settle: (reservation, usage) => budgets.settle(reservation, usage),
    void: (reservation) => budgets.void(reservation),
    takeTool(rate, nowMs, mode) {
      const verdict = admitTool(toolTatMs, rate, nowMs, mode);
      toolTatMs = verdict.tatMs;
      return verdict.reply;
    },
    clear() {
      leases.clear();
      bySubject.clear();
      budgets.clear();
      global = 0;
    },
  };
}

const none: readonly AskedBudget[] = [];
