import {
  gateModes,
  parseOptions,
  type AdmissionAsk,
  type AdmissionLease,
  type AdmissionStore,
} from "@sluice/contract";
import {
  createAdmissionMachine,
  dayTeller,
  isTimeZone,
  machineReservation,
  type DailyBudget,
  type MachineLimits,
  type MachineRequest,
  type RateDimension,
} from "@sluice/policy";
import { z } from "zod";
import { clockSchema, systemClock } from "../system-clock.ts";

const mode = z.enum(gateModes).default("enforce");
const inFlight = z.strictObject({ limit: z.int().min(1), mode }).optional();
const rate = z
  .strictObject({
    count: z.int().min(1),
    perMs: z.int().min(1),
    burst: z.int().min(1).optional(),
    mode,
  })
  .optional();

const cap = z.int().min(1).max(Number.MAX_SAFE_INTEGER).optional();
const dailyBudget = z
  .strictObject({ calls: cap, tokens: cap, costNanoUsd: cap, mode })
  .refine((caps) => (caps.calls ?? caps.tokens ?? caps.costNanoUsd) !== undefined, {
    error: "at least one of calls, tokens, costNanoUsd",
  })
  .optional();

const timeZone = z
  .string()
  .refine(isTimeZone, { error: "an IANA time zone, as Europe/Berlin" })
  .default("UTC");

const optionsSchema = z.strictObject({
  /** Requests of one subject at the same time. */
  userInFlight: inFlight,
  /** Requests of all subjects at the same time. */
  globalInFlight: inFlight,
  /** `count` messages each `perMs`, of which up to `burst` (default: `count`) at once. */
  messageRate: rate,
  /** The same of tool calls; decided on when a tool is about to run. */
  toolRate: rate,
  /** A subject's calls, tokens and money of one day. */
  userBudget: dailyBudget,
  /** Those of all subjects. */
  globalBudget: dailyBudget,
  /** Where the day of budgets begins. */
  timeZone,
  /** A place that is neither released nor renewed is free again after so long. */
  leaseMs: z.int().min(100).max(3_600_000).default(30_000),
  /** Live leases held at once; beyond it the store can't tell. */
  maxLeases: z.int().min(1).max(10_000_000).default(100_000),
  clock: clockSchema.optional(),
});

export type MemoryAdmissionOptions = Readonly<z.input<typeof optionsSchema>>;

/**
 * Admission of one process: exact limits, synchronous answers.
 * @throws ConfigError
 */
export function memoryAdmission(options: MemoryAdmissionOptions): AdmissionStore {
  const parsed = parseOptions("memoryAdmission", optionsSchema, options);
  const clock = parsed.clock ?? systemClock;
  const limits: MachineLimits = {
    userInFlight: parsed.userInFlight,
    globalInFlight: parsed.globalInFlight,
    messageRate: toDimension(parsed.messageRate),
    toolRate: toDimension(parsed.toolRate),
    userBudget: parsed.userBudget,
    globalBudget: parsed.globalBudget,
  };
  const machine = createAdmissionMachine(parsed.leaseMs, parsed.maxLeases);
  const hasBudgets = parsed.userBudget !== undefined || parsed.globalBudget !== undefined;
  const dayOf = dayTeller(parsed.timeZone);

  const requestOf = (subject: string, ask: AdmissionAsk) => (): Omit<MachineRequest, "nowMs"> => {
    const wallMs = clock.wallMs();
    return { subject, ask, limits, day: dayOf(wallMs), wallMs };
  };

  return {
    name: "memory",
    leaseMs: parsed.leaseMs,
    countsBudgets: hasBudgets,
    countsCost: [parsed.userBudget, parsed.globalBudget].some(
      (budget) => budget?.costNanoUsd !== undefined,
    ),
    acquire(subject, ask) {
      // Without budgets no day is asked for, and none is told.
      const wallMs = hasBudgets ? clock.wallMs() : 0;
      const day = hasBudgets ? dayOf(wallMs) : noDay;
      const nowMs = clock.monotonicMs();
      const reply = machine.acquire({ subject, ask, nowMs, limits, day, wallMs });
      if (reply === "full") return "unavailable";
      if (!reply.admitted) return reply;
      const { lease: held, reservation, wouldRefuse } = reply;
      const lease: AdmissionLease = {
        release: () => machine.release(held),
        renew: () => machine.renew(held, clock.monotonicMs()),
      };
      return {
        admitted: true,
        lease,
        ...(reservation !== undefined && ask?.budget !== undefined
          ? {
              reservation: machineReservation(
                machine,
                requestOf(subject, ask),
                ask.budget,
                reservation,
              ),
            }
          : {}),
        wouldRefuse,
        get states() {
          return reply.states;
        },
      };
    },
    takeTool: (_subject, its) => machine.takeTool(limits.toolRate, clock.monotonicMs(), its),
    apart: () => memoryAdmission(options),
    describe() {
      const { userInFlight, globalInFlight, messageRate, toolRate } = limits;
      const lines: string[] = [];
      if (userInFlight) lines.push(`user in-flight ${userInFlight.limit} (${userInFlight.mode})`);
      if (globalInFlight) {
        lines.push(`global in-flight ${globalInFlight.limit} (${globalInFlight.mode})`);
      }
      if (messageRate) lines.push(describeRate("message", messageRate));
      if (toolRate) lines.push(describeRate("tool", toolRate));
      const { userBudget, globalBudget } = limits;
      if (userBudget) lines.push(describeBudget("user", userBudget, parsed.timeZone));
      if (globalBudget) lines.push(describeBudget("global", globalBudget, parsed.timeZone));
      return lines;
    },
    close: () => machine.clear(),
  };
}

function toDimension(given: z.output<typeof rate>): RateDimension | undefined {
  return given && { ...given, burst: given.burst ?? given.count };
}

function describeRate(what: string, { count, perMs, burst, mode: its }: RateDimension): string {
  return `${what} rate ${count} per ${perMs} ms, burst ${burst} (${its})`;
}

const noDay = { name: "", endsMs: 0 };

function describeBudget(what: string, budget: DailyBudget, zone: string): string {
  const caps = [
    ...(budget.calls === undefined ? [] : [`${budget.calls} calls`]),
    ...(budget.tokens === undefined ? [] : [`${budget.tokens} tokens`]),
    ...(budget.costNanoUsd === undefined ? [] : [`${budget.costNanoUsd} nano-dollars`]),
  ];
  return `${what} budget ${caps.join(", ")} a day of ${zone} (${budget.mode})`;
}
