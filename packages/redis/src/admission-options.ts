import { ConfigError, gateModes, parseOptions, type Clock } from "@sluice/contract";
import { isTimeZone } from "@sluice/policy";
import { z } from "zod";
import type { RedisClient } from "./redis-client.ts";

const mode = z.enum(gateModes).default("enforce");
const limit = z.int().min(1).max(1_000_000_000);

const inFlight = z
  .strictObject({
    limit,
    mode,
    /** Another limit, only observed: what it would refuse is told beside what the limit does. */
    candidate: limit.optional(),
  })
  .optional();

const rateShape = {
  count: limit,
  perMs: z.int().min(1).max(86_400_000),
  /** How many may come at once. Default: `count`. */
  burst: limit.optional(),
};
const messageRate = z
  .strictObject({ ...rateShape, mode, candidate: z.strictObject(rateShape).optional() })
  .optional();
const toolRate = z.strictObject({ ...rateShape, mode }).optional();

const cap = z.int().min(1).max(Number.MAX_SAFE_INTEGER).optional();
const dailyBudget = z
  .strictObject({ calls: cap, tokens: cap, costNanoUsd: cap, mode })
  .refine((caps) => (caps.calls ?? caps.tokens ?? caps.costNanoUsd) !== undefined, {
    error: "at least one of calls, tokens, costNanoUsd",
  })
  .optional();

const method = (names: readonly string[]) => (value: unknown) =>
  typeof value === "object" &&
  value !== null &&
  names.every((name) => typeof (value as Record<string, unknown>)[name] === "function");

const timeZone = z
  .string()
  .refine(isTimeZone, { error: "an IANA time zone, as Europe/Berlin" })
  .default("UTC");

const lossModes = ["closed", "open", "local"] as const;
export type LossMode = (typeof lossModes)[number];

const optionsSchema = z.strictObject({
  client: z.custom<RedisClient>(method(["evalsha", "eval", "on"]), {
    error: "a client of ioredis, as connectRedis() gives",
  }),
  clock: z.custom<Clock>(method(["monotonicMs", "wallMs", "after", "every"]), { error: "a clock" }),
  /** From 0, inclusive, to 1. */
  random: z.custom<() => number>((value) => typeof value === "function", { error: "a function" }),
  /** Of this process; unique in the fleet, as a UUID is. */
  instanceId: z.string().regex(/^[A-Za-z0-9_-]{2,64}$/, "2 to 64 letters, digits, _ or -"),
  /** Stores of one name share their counts. */
  namespace: z.string().regex(/^[a-z][a-z0-9_.-]{0,62}$/, "lower-case letters, digits, _ . -"),
  /** Keys the hash of subjects, the same in all processes: no id of a person stands in Redis. */
  secret: z.string().min(16),
  userInFlight: inFlight,
  globalInFlight: inFlight,
  messageRate,
  toolRate,
  /** A subject's calls, tokens and money of one day. */
  userBudget: dailyBudget,
  /** Those of all subjects. */
  globalBudget: dailyBudget,
  /** Where the day of budgets begins. */
  timeZone,
  /** A place that is neither released nor renewed is free again after so long. */
  leaseMs: z.int().min(100).max(3_600_000).default(30_000),
  /** A request is not in flight for longer, whatever renews it. */
  maxAgeMs: z.int().min(1000).default(3_600_000),
  /** A reservation that nobody settles gives its output back after so long. */
  reservationMs: z.int().min(1000).max(86_400_000).default(600_000),
  /** False where timers don't run between requests, as in a serverless host: leases are not renewed. */
  heartbeat: z.boolean().default(true),
  /** For an answer of Redis. */
  deadlineMs: z.int().min(1).max(10_000).default(50),
  /**
   * While Redis is lost. `closed`: nobody is admitted. `open`: nobody is refused, and limits are only observed.
   * `local`: this process's share of the limits counts, in memory: of each limit, and of each day's budget, one
   * part for each process, against what this process itself let in and spent, before the loss too. A function
   * is asked whenever it matters, so that a switch can drive it; one that throws or answers something else
   * means `closed`.
   */
  onLoss: z
    .union([
      z.enum(lossModes),
      z.custom<() => LossMode>((value) => typeof value === "function", { error: "a function" }),
    ])
    .default("closed"),
  /**
   * Takes the global limits from Redis in blocks, min(64, 5 % of the limit / processes), and decides them here
   * while a block has room. Where nothing else is counted that is an answer at once, with no trip; a limit of a
   * user or a budget is decided exactly, in one trip, and where it refuses the block has its share back. For at
   * most so many processes at a time, those that start while others end included. A limit has to be at least
   * 20 × processes, and has no candidate.
   */
  globalBlocks: z.strictObject({ processes: z.int().min(1).max(10_000) }).optional(),
  /**
   * Counts a subject's requests in flight here, with no trip, while no other process asks for the subject: for
   * hosts whose routing sends a subject to one process. While another has it a request is refused until it is
   * given up, a third of `leaseMs` at most. A process that dies keeps its subjects for `leaseMs` more. Needs
   * `globalBlocks`, `userInFlight` without a candidate, and heartbeats; not with budgets.
   */
  subjectLeases: z.strictObject({ leaseMs: z.int().min(100).max(60_000).default(5000) }).optional(),
  /**
   * Spreads subjects over so many parts of Redis, each in one slot of a cluster. Each has a share of the global
   * limits, which follow demand about once a second; their sum is never above the limit. The same number in all
   * processes of a namespace. Not with `globalBudget`.
   */
  shards: z.strictObject({ count: z.int().min(2).max(1024) }).optional(),
  /** Once per change: Redis no longer answers, or does again. What it throws is ignored. */
  onState: z
    .custom<(state: "lost" | "found") => void>((value) => typeof value === "function", {
      error: "a function",
    })
    .optional(),
  /** Leases of this process at once; beyond it the store can't tell. */
  maxLeases: z.int().min(1).max(10_000_000).default(100_000),
});

export type RedisAdmissionOptions = Readonly<z.input<typeof optionsSchema>>;
export type RedisAdmissionSettings = z.output<typeof optionsSchema>;

/** @throws ConfigError */
export function parseAdmissionOptions(options: RedisAdmissionOptions): RedisAdmissionSettings {
  const settings = parseOptions("redisAdmission", optionsSchema, options);
  assertSubjectLeases(settings);
  return settings;
}

const refuse = (got: string, expected: string): never => {
  throw new ConfigError({ option: "redisAdmission.subjectLeases", got, expected });
};

/** @throws ConfigError for what a process can't count alone */
function assertSubjectLeases(settings: RedisAdmissionSettings): void {
  const { subjectLeases, globalBlocks, userInFlight, userBudget, globalBudget } = settings;
  if (subjectLeases === undefined) return;
  if (globalBlocks === undefined) {
    refuse("no globalBlocks", "globalBlocks beside it: else each decision is a trip all the same");
  }
  if (userInFlight === undefined) refuse("no userInFlight", "the limit that is counted here");
  if (userInFlight?.candidate !== undefined) {
    refuse("a candidate of userInFlight", "none: only the limit itself is counted here");
  }
  if ((userBudget ?? globalBudget) !== undefined) {
    refuse("subjectLeases with a budget", "one of them: a budget takes a trip for each decision");
  }
  if (!settings.heartbeat) {
    refuse("heartbeat: false", "heartbeats: what a process has is renewed by them");
  }
}

/** What counts at the moment. */
export function lossModeOf(onLoss: RedisAdmissionSettings["onLoss"]): LossMode {
  if (typeof onLoss !== "function") return onLoss;
  try {
    const chosen = onLoss();
    return lossModes.includes(chosen) ? chosen : "closed";
  } catch {
    return "closed";
  }
}
