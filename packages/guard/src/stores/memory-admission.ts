import {
  gateModes,
  parseOptions,
  type AdmissionLease,
  type AdmissionStore,
} from "@sluice/contract";
import { admit, admitTool, type AdmissionLimits, type RateDimension } from "@sluice/policy";
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

const optionsSchema = z.strictObject({
  /** Requests of one subject at the same time. */
  userInFlight: inFlight,
  /** Requests of all subjects at the same time. */
  globalInFlight: inFlight,
  /** `count` messages each `perMs`, of which up to `burst` (default: `count`) at once. */
  messageRate: rate,
  /** The same of tool calls; decided on when a tool is about to run. */
  toolRate: rate,
  /** A place that is neither released nor renewed is free again after so long. */
  leaseMs: z.int().min(100).max(3_600_000).default(30_000),
  /** Live leases held at once; beyond it the store can't tell. */
  maxLeases: z.int().min(1).max(10_000_000).default(100_000),
  clock: clockSchema.optional(),
});

export type MemoryAdmissionOptions = Readonly<z.input<typeof optionsSchema>>;

interface Lease {
  readonly subject: string;
  readonly countsUser: boolean;
  readonly countsGlobal: boolean;
  expiresMs: number;
}

/**
 * Admission of one process: exact limits, synchronous answers.
 * @throws ConfigError
 */
export function memoryAdmission(options: MemoryAdmissionOptions): AdmissionStore {
  const parsed = parseOptions("memoryAdmission", optionsSchema, options);
  const clock = parsed.clock ?? systemClock;
  const limits: AdmissionLimits = {
    userInFlight: parsed.userInFlight,
    globalInFlight: parsed.globalInFlight,
    messageRate: toDimension(parsed.messageRate),
  };
  const toolRate = toDimension(parsed.toolRate);

  // In the order of expiry: a renewal moves a lease to the end, and all live equally long. A live lease
  // is never evicted to make room; a full store says that it can't tell.
  const leases = new Set<Lease>();
  // Only subjects that hold a lease have an entry, so this map is bounded by the leases.
  const bySubject = new Map<string, number>();
  let global = 0;
  let tatMs = 0;
  let toolTatMs = 0;

  const drop = (lease: Lease): void => {
    if (!leases.delete(lease)) return;
    if (lease.countsGlobal) global -= 1;
    if (lease.countsUser) {
      const left = (bySubject.get(lease.subject) ?? 1) - 1;
      if (left === 0) bySubject.delete(lease.subject);
      else bySubject.set(lease.subject, left);
    }
  };

  const dropExpired = (now: number): void => {
    for (const lease of leases) {
      if (lease.expiresMs > now) return;
      drop(lease);
    }
  };

  return {
    name: "memory",
    leaseMs: parsed.leaseMs,
    acquire(subject) {
      const now = clock.monotonicMs();
      dropExpired(now);
      if (leases.size >= parsed.maxLeases) return "unavailable";
      const verdict = admit({ user: bySubject.get(subject) ?? 0, global, tatMs }, limits, now);
      if (verdict.refused !== undefined) {
        return { admitted: false, ...verdict.refused, wouldRefuse: verdict.wouldRefuse };
      }
      tatMs = verdict.tatMs;
      const held: Lease = {
        subject,
        countsUser: verdict.takesUser,
        countsGlobal: verdict.takesGlobal,
        expiresMs: now + parsed.leaseMs,
      };
      leases.add(held);
      if (held.countsGlobal) global += 1;
      if (held.countsUser) bySubject.set(subject, (bySubject.get(subject) ?? 0) + 1);
      const lease: AdmissionLease = {
        release: () => drop(held),
        renew() {
          const renewedMs = clock.monotonicMs();
          if (held.expiresMs <= renewedMs || !leases.delete(held)) return;
          held.expiresMs = renewedMs + parsed.leaseMs;
          leases.add(held);
        },
      };
      return { admitted: true, lease, wouldRefuse: verdict.wouldRefuse };
    },
    takeTool() {
      const verdict = admitTool(toolTatMs, toolRate, clock.monotonicMs());
      toolTatMs = verdict.tatMs;
      return verdict.reply;
    },
    describe() {
      const { userInFlight, globalInFlight, messageRate } = limits;
      const lines: string[] = [];
      if (userInFlight) lines.push(`user in-flight ${userInFlight.limit} (${userInFlight.mode})`);
      if (globalInFlight) {
        lines.push(`global in-flight ${globalInFlight.limit} (${globalInFlight.mode})`);
      }
      if (messageRate) lines.push(describeRate("message", messageRate));
      if (toolRate) lines.push(describeRate("tool", toolRate));
      return lines;
    },
    close() {
      leases.clear();
      bySubject.clear();
      global = 0;
    },
  };
}

function toDimension(given: z.output<typeof rate>): RateDimension | undefined {
  return given && { ...given, burst: given.burst ?? given.count };
}

function describeRate(what: string, { count, perMs, burst, mode: its }: RateDimension): string {
  return `${what} rate ${count} per ${perMs} ms, burst ${burst} (${its})`;
}
