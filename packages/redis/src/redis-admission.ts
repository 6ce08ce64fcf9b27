import {
  admissionDimensions,
  Reason,
  type AdmissionAsk,
  type AdmissionDimension,
  type AdmissionLease,
  type AdmissionReply,
  type AdmissionStore,
  type BudgetAsk,
  type SharedReply,
  type SharedReservation,
  type ToolRateReply,
} from "@sluice/contract";
import {
  dayTeller,
  machineReservation,
  reserveOnMachine,
  type Day,
  type MachineReply,
  type MachineRequest,
} from "@sluice/policy";
import {
  lossModeOf,
  parseAdmissionOptions,
  type RedisAdmissionOptions,
} from "./admission-options.ts";
import { describeSettings } from "./describe-settings.ts";
import { createBlockAdmission, decidesInBlocks, toBlockLimits } from "./block-admission.ts";
import { createBlocks, type Blocks } from "./blocks.ts";
import { createDeadline } from "./deadline.ts";
import { createKeys } from "./keys.ts";
import { createLeases } from "./leases.ts";
import { createLocalAdmission } from "./local-admission.ts";
import { assertClient } from "./redis-client.ts";
import { createRemoteStore, type RemoteAnswer } from "./remote-store.ts";
import { scriptRunner } from "./run-script.ts";
import { sharedReservation } from "./shared-reservation.ts";
import { createStoreBreaker } from "./store-breaker.ts";
import { createUpkeep } from "./upkeep.ts";

/** Steps that may wait for Redis; a lease is over by itself, and a reservation at its deadline. */
const upkeepCapacity = 100_000;
/** A rate that refused is not asked again before its time, but for no longer than this. */
const rememberedMs = 1000;

/** A store over Redis, and what its owner waits for. */
export interface RedisAdmission extends AdmissionStore {
  takeTool(subject: string): Promise<ToolRateReply | "unavailable">;
  /** Resolves once releases and settlements that had come are answered. */
  flush(): Promise<void>;
  state(): RedisAdmissionState;
}

export interface RedisAdmissionState {
  /** Requests of this process that are in flight. */
  readonly leases: number;
  /** Releases, heartbeats and settlements that Redis has not answered yet. */
  readonly pending: number;
  /** Of those, what was given up since the start, as more waited than is kept. */
  readonly dropped: number;
}

/**
 * Admission of a fleet: every dimension in one script, so that all take their share or none does. While Redis
 * is lost it is as `onLoss` says.
 * @throws ConfigError
 */
export function redisAdmission(
  options: RedisAdmissionOptions,
  /** What scripts take for the time; tests say it, else it is Redis' own clock. */
  timeForTests?: () => number,
): RedisAdmission {
  const settings = parseAdmissionOptions(options);
  const { client, clock, processId, leaseMs, maxLeases } = settings;
  const lossMode = () => lossModeOf(settings.onLoss);
  // What may become local is kept warm from the start.
  const isKeptWarm = settings.onLoss === "local" || typeof settings.onLoss === "function";
  assertClient("redisAdmission.client", client);
  const keys = createKeys(settings.namespace, settings.secret);
  const scripts = scriptRunner(client);
  const scriptTime = (): string => (timeForTests === undefined ? "" : String(timeForTests()));
  const local = createLocalAdmission(settings, clock);
  const upkeep = createUpkeep({
    run: scripts.run,
    now: () => clock.monotonicMs(),
    scriptTime,
    capacity: upkeepCapacity,
    canSend: () => client.status === "ready",
    onProcesses: (count) => local.setProcesses(count),
  });
  const join = (): void => {
    const atMs = clock.monotonicMs();
    upkeep.add({ do: "join", key: keys.processes, id: processId, atMs, leaseMs });
  };
  const leases = createLeases({ ...settings, upkeep });
  const remote = createRemoteStore({
    settings,
    keys,
    clock,
    run: scripts.run,
    upkeep,
    scriptTime,
  });
  scripts.load(remote.scripts());
  const dayOf = dayTeller(settings.timeZone);
  const isAllEnforced = [
    ...remote.policies.inFlight,
    ...remote.policies.rates,
    ...remote.policies.budgets,
  ].every(({ mode }) => mode !== "shadow");
  const breaker = createStoreBreaker(clock, (isLost) => {
    try {
      settings.onState?.(isLost ? "lost" : "found");
    } catch {
      // It is theirs to handle.
    }
  });
  const blockDeadline = createDeadline(clock, settings.deadlineMs);
  const blocks = decidesInBlocks(settings)
    ? createBlocks({
        limits: toBlockLimits(settings),
        keys: [keys.blocks, keys.messageRate],
        processId,
        leaseMs,
        clock,
        run: scripts.run,
        deadline: blockDeadline,
        scriptTime,
      })
    : undefined;
  const refill = async (from: Blocks): Promise<boolean> => {
    if (!breaker.allows()) return false;
    const isAnswered = await from.refill();
    if (isAnswered) breaker.answered();
    else breaker.missed();
    return isAnswered;
  };
  const inBlocks =
    blocks &&
    createBlockAdmission({
      settings,
      blocks,
      refill: () => refill(blocks),
      typicalWaitMs: () => leases.typicalWaitMs(),
    });
  /** Until then the rate refuses whoever comes. */
  let rateShutUntilMs = 0;
  /** When it lets one through again; later than the above where that is far off. */
  let rateFreeAtMs = 0;

  const onReady = (): void => {
    // What goes on here is told before Redis' counts are trusted: it may have lost them.
    if (settings.heartbeat) join();
    leases.tellAll();
    blocks?.renew();
    upkeep.send();
  };
  client.on("ready", onReady);
  if (client.status === "ready") onReady();
  const stopJoining = settings.heartbeat ? clock.every(leaseMs / 3, join) : undefined;
  const stopRenewing =
    blocks && settings.heartbeat ? clock.every(leaseMs / 3, () => blocks.renew()) : undefined;

  const admitted = (
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
    answer: RemoteAnswer,
  ): AdmissionReply => {
    const { call, isInside, states } = answer;
    const held = leases.hold(
      call.id,
      call.inFlightKeys.map((key, index) => (isInside[index] === true ? key : `${key}:over`)),
    );
    const warm = isKeptWarm ? local.note(subject, day) : undefined;
    const lease: AdmissionLease =
      warm === undefined
        ? held
        : {
            release() {
              held.release();
              local.machine.release(warm);
            },
            renew() {
              held.renew();
              local.machine.renew(warm, clock.monotonicMs());
            },
          };
    const wouldRefuse = answer.would.map(({ reason }) => reason);
    if (ask?.budget === undefined || answer.granted === undefined) {
      return { admitted: true, lease, wouldRefuse, states };
    }
    const reservation = reservationOf(subject, ask, ask.budget, answer);
    return { admitted: true, lease, reservation, wouldRefuse, states };
  };

  const reservationOf = (
    subject: string,
    ask: AdmissionAsk,
    budget: BudgetAsk,
    { call, granted }: RemoteAnswer,
  ): SharedReservation =>
    sharedReservation({
      id: call.id,
      keys: call.budgetKeys,
      ask: budget,
      outputTokens: granted ?? budget.outputTokens,
      upkeep,
      further: (more) => furtherOf(subject, ask, more),
    });

  const furtherOf = async (
    subject: string,
    ask: AdmissionAsk,
    budget: BudgetAsk,
  ): Promise<SharedReply | "unavailable"> => {
    const day = dayOf(clock.wallMs());
    const isAsked = breaker.allows();
    const answer = isAsked ? await remote.reserve(subject, ask, budget, day) : undefined;
    if (answer === undefined) {
      if (isAsked) breaker.missed();
      if (lossMode() === "closed") return "unavailable";
      return reserveOnMachine(local.machine, localRequest(subject, ask), budget);
    }
    breaker.answered();
    const [refusal] = answer.refused;
    if (refusal !== undefined) return { granted: false, reason: refusal.reason };
    return { granted: true, reservation: reservationOf(subject, ask, budget, answer) };
  };

  const refused = (
    answer: RemoteAnswer,
    day: Day,
    ask: AdmissionAsk | undefined,
  ): AdmissionReply => {
    const dayEndsInMs = day.endsMs - clock.wallMs();
    const waitOf = (dimension: AdmissionDimension): number => {
      if (dimension === "message_rate") return Math.max(1, answer.rateWaitMs);
      if (dimension === "user_budget" || dimension === "global_budget") return dayEndsInMs;
      return leases.typicalWaitMs();
    };
    // The longest wait counts, and of equal ones the one that names the subject's own doing.
    const refusals = answer.refused
      .map((refusal) => ({ ...refusal, waitMs: waitOf(refusal.dimension) }))
      .toSorted((a, b) => b.waitMs - a.waitMs || orderOf(a.dimension) - orderOf(b.dimension));
    const [first] = refusals;
    const isOnlyRate = refusals.length === 1 && first?.dimension === "message_rate";
    // By modes of its own it says nothing of those that come without.
    if (isAllEnforced && isOnlyRate && ask?.modes === undefined) {
      const now = clock.monotonicMs();
      rateShutUntilMs = now + Math.min(rememberedMs, first.waitMs);
      rateFreeAtMs = now + first.waitMs;
    }
    return {
      admitted: false,
      reason: first?.reason ?? Reason.STORE_UNAVAILABLE,
      retryAfterMs: first?.waitMs ?? rememberedMs,
      wouldRefuse: answer.would.map(({ reason }) => reason),
      violated: refusals.map(({ dimension }) => dimension),
      states: answer.states,
    };
  };

  const localRequest =
    (subject: string, ask: AdmissionAsk | undefined) => (): Omit<MachineRequest, "nowMs"> => {
      const wallMs = clock.wallMs();
      return { subject, ask, limits: local.limits(), day: dayOf(wallMs), wallMs };
    };

  /** What is answered while Redis is lost. */
  const withoutRedis = (
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
  ): AdmissionReply | "unavailable" => {
    const mode = lossMode();
    if (mode === "closed") return "unavailable";
    const how = mode === "open" ? "observe" : "enforce";
    const reply = local.decide(how, subject, ask, day);
    // Nobody is refused for want of Redis, nor for a memory that is full.
    if (reply === "full") return mode === "local" ? "unavailable" : uncounted;
    return reply.admitted ? admittedLocally(subject, ask, reply) : reply;
  };

  const admittedLocally = (
    subject: string,
    ask: AdmissionAsk | undefined,
    reply: Extract<MachineReply, { admitted: true }>,
  ): AdmissionReply => {
    const { machine } = local;
    const { wouldRefuse, reservation } = reply;
    const place = remote.place(subject);
    const held = leases.hold(place.id, place.keys);
    const lease: AdmissionLease = {
      release() {
        held.release();
        machine.release(reply.lease);
      },
      renew() {
        held.renew();
        machine.renew(reply.lease, clock.monotonicMs());
      },
    };
    if (reservation === undefined || ask?.budget === undefined) {
      return { admitted: true, lease, wouldRefuse };
    }
    const request = localRequest(subject, ask);
    const shared = machineReservation(machine, request, ask.budget, reservation);
    return { admitted: true, lease, reservation: shared, wouldRefuse };
  };

  const acquire = async (
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
  ): Promise<AdmissionReply | "unavailable"> => {
    const answer = await remote.acquire(subject, ask, day);
    if (answer === undefined) {
      breaker.missed();
      return withoutRedis(subject, ask, day);
    }
    breaker.answered();
    return answer.refused.length > 0
      ? refused(answer, day, ask)
      : admitted(subject, ask, day, answer);
  };

  return {
    name: "redis",
    leaseMs,
    countsBudgets: remote.policies.budgets.length > 0,
    acquire(subject, ask) {
      const decided = inBlocks?.acquire(ask);
      if (decided !== undefined) {
        if (!(decided instanceof Promise)) return decided;
        return decided.then((reply) => reply ?? withoutRedis(subject, ask, dayOf(clock.wallMs())));
      }
      const day = dayOf(clock.wallMs());
      // Before the breaker is asked: what it lets through to look must reach Redis.
      if (!breaker.isLost) {
        if (leases.size >= maxLeases) return "unavailable";
        const now = clock.monotonicMs();
        if (now < rateShutUntilMs && ask?.modes === undefined) {
          return {
            admitted: false,
            reason: Reason.MESSAGE_RATE,
            retryAfterMs: rateFreeAtMs - now,
            wouldRefuse: [],
            violated: ["message_rate"],
          };
        }
      }
      if (!breaker.allows()) return withoutRedis(subject, ask, day);
      return acquire(subject, ask, day);
    },
    async takeTool() {
      const isAsked = breaker.allows();
      const reply = isAsked ? await remote.takeTool() : undefined;
      if (reply !== undefined) {
        breaker.answered();
        return reply;
      }
      if (isAsked) breaker.missed();
      const mode = lossMode();
      if (mode === "closed") return "unavailable";
      if (mode === "open") return { allowed: true };
      return local.machine.takeTool(local.limits().toolRate, clock.monotonicMs());
    },
    describe: () => describeSettings(settings),
    flush: () => upkeep.flush(),
    state: () => ({ leases: leases.size, pending: upkeep.pending, dropped: upkeep.dropped }),
    close() {
      client.off("ready", onReady);
      stopJoining?.();
      stopRenewing?.();
      inBlocks?.close();
      blockDeadline.close();
      remote.close();
      leases.close();
      scripts.close();
    },
  };
}

const uncounted: AdmissionReply = Object.freeze({
  admitted: true,
  lease: Object.freeze({ release: () => undefined, renew: () => undefined }),
  wouldRefuse: [],
});

const orderOf = (dimension: AdmissionDimension): number => admissionDimensions.indexOf(dimension);
