import type { AdmissionAsk, AdmissionDimension, Clock, GateMode } from "@sluice/contract";
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

/** The same machines in memory, with this process's share of the limits. */
export interface LocalAdmission {
  /** Sees what Redis admitted, so that its counts are warm when they are needed. */
  note(subject: string, day: Day): MachineLease | undefined;
  /** Decides without Redis; `observe` refuses nobody and tells what would have been. */
  decide(
    how: "enforce" | "observe",
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
  ): MachineReply | "full";
  readonly machine: AdmissionMachine;
  /** The whole limits, or their share. */
  limits(): MachineLimits;
  /** How many processes share the limits. */
  setProcesses(count: number): void;
}

const dimensions = [
  "user_in_flight",
  "global_in_flight",
  "message_rate",
  "user_budget",
  "global_budget",
] as const satisfies readonly AdmissionDimension[];

const observing: Readonly<Record<AdmissionDimension, GateMode>> = Object.freeze(
  Object.fromEntries(dimensions.map((dimension) => [dimension, "shadow" as const])) as Record<
    AdmissionDimension,
    "shadow"
  >,
);

export function createLocalAdmission(
  settings: RedisAdmissionSettings,
  clock: Clock,
): LocalAdmission {
  const machine = createAdmissionMachine(settings.leaseMs, settings.maxLeases);
  let processes = 1;
  let share = shareOf(settings, processes);

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
    limits: () => share,
    setProcesses(count) {
      if (count === processes || count < 1) return;
      processes = count;
      share = shareOf(settings, processes);
    },
    note(subject, day) {
      const reply = acquire(subject, { modes: observing }, day);
      return reply !== "full" && reply.admitted ? reply.lease : undefined;
    },
    decide: (how, subject, ask, day) =>
      acquire(subject, how === "observe" ? { ...ask, modes: observing } : ask, day),
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
