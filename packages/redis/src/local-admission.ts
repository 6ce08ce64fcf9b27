import {
  admissionDimensions,
  type AdmissionAsk,
  type AdmissionDimension,
  type BudgetAsk,
  type Clock,
  type GateMode,
} from "@sluice/contract";
import {
  createAdmissionMachine,
  type AdmissionMachine,
  type DailyBudget,
  type Day,
  type MachineLease,
  type MachineLimits,
  type MachineReply,
  type RateDimension,
} from "@sluice/policy";
import type { RedisAdmissionSettings } from "./admission-options.ts";
import type { Also } from "./shared-reservation.ts";

/**
 * The same machines in memory, with this process's share of the limits. A share is held against what this
 * process itself used, of which Redis' counts are the sum.
 */
export interface LocalAdmission {
  /** Sees what Redis admitted, so that its counts are warm when they are needed. Undefined: no room for it. */
  note(subject: string, ask: AdmissionAsk | undefined, day: Day): MachineLease | undefined;
  /** Sees what Redis' budgets set aside, whole; it is told how that ended. */
  charge(subject: string, granted: BudgetAsk, day: Day): Also | undefined;
  /** Decides without Redis; `observe` refuses nobody and tells what would have been. */
  decide(
    how: "enforce" | "observe",
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
  ): MachineReply | "full";
  readonly machine: AdmissionMachine;
  /** The same ask, of which nothing is refused: what is off stays off. */
  observing(ask: AdmissionAsk | undefined): AdmissionAsk;
  /** The whole limits, or their share. */
  limits(): MachineLimits;
  /** How many processes share the limits. */
  setProcesses(count: number): void;
}

/** What Redis admitted is in flight, whatever the share; the rate goes on where it counts. */
const counting = { user_in_flight: "off", global_in_flight: "off" } as const;
const countingRate: AdmissionAsk = { modes: { ...counting, message_rate: "shadow" } };
const withoutRate: AdmissionAsk = { modes: { ...counting, message_rate: "off" } };

export function createLocalAdmission(
  settings: RedisAdmissionSettings,
  clock: Clock,
): LocalAdmission {
  const machine = createAdmissionMachine(settings.leaseMs, settings.maxLeases);
  let processes = 1;
  let share = shareOf(settings, processes);

  const ownModes: Readonly<Record<AdmissionDimension, GateMode | undefined>> = {
    user_in_flight: settings.userInFlight?.mode,
    global_in_flight: settings.globalInFlight?.mode,
    message_rate: settings.messageRate?.mode,
    user_budget: settings.userBudget?.mode,
    global_budget: settings.globalBudget?.mode,
  };

  const observing = (ask: AdmissionAsk | undefined): AdmissionAsk => {
    const modes: Partial<Record<AdmissionDimension, GateMode>> = {};
    for (const dimension of admissionDimensions) {
      const mode = ask?.modes?.[dimension] ?? ownModes[dimension];
      modes[dimension] = mode === "off" ? "off" : "shadow";
    }
    return { ...ask, modes };
  };

  const acquire = (
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
  ): MachineReply | "full" =>
    machine.acquire({
      subject,
      ask,
      nowMs: clock.monotonicMs(),
      limits: share,
      day,
      wallMs: clock.wallMs(),
    });

  return {
    machine,
    observing,
    limits: () => share,
    setProcesses(count) {
      if (count === processes || count < 1) return;
      processes = count;
      share = shareOf(settings, processes);
    },
    note(subject, ask, day) {
      const mode = ask?.modes?.message_rate ?? ownModes.message_rate;
      const reply = acquire(subject, mode === "off" ? withoutRate : countingRate, day);
      return reply !== "full" && reply.admitted ? reply.lease : undefined;
    },
    charge(subject, granted, day) {
      const charged = machine.charge({ subject, day, limits: share }, granted);
      if (charged === "full") return undefined;
      return {
        settle: (usage) => machine.settle(charged, usage),
        void: () => machine.void(charged),
      };
    },
    decide: (how, subject, ask, day) =>
      acquire(subject, how === "observe" ? observing(ask) : ask, day),
  };
}

/** Of each limit what falls to one of so many processes; at least one, or nobody would be served. */
function shareOf(settings: RedisAdmissionSettings, processes: number): MachineLimits {
  const part = (limit: number): number => Math.max(1, Math.floor(limit / processes));
  const rate = (of: RedisAdmissionSettings["messageRate"]): RateDimension | undefined =>
    of && {
      count: of.count,
      perMs: of.perMs * processes,
      burst: part(of.burst ?? of.count),
      mode: of.mode,
    };
  const budget = (of: RedisAdmissionSettings["globalBudget"]): DailyBudget | undefined =>
    of && {
      calls: of.calls && part(of.calls),
      tokens: of.tokens && part(of.tokens),
      costNanoUsd: of.costNanoUsd && part(of.costNanoUsd),
      mode: of.mode,
    };
  const { userInFlight, globalInFlight } = settings;
  return {
    // A subject may come to one process with all its requests.
    userInFlight,
    globalInFlight: globalInFlight && { ...globalInFlight, limit: part(globalInFlight.limit) },
    messageRate: rate(settings.messageRate),
    toolRate: rate(settings.toolRate),
    userBudget: budget(settings.userBudget),
    globalBudget: budget(settings.globalBudget),
  };
}
