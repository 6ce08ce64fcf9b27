import type {
  AdmissionAsk,
  AdmissionReply,
  AdmissionStore,
  BudgetAsk,
  GateMode,
  SharedReply,
  ToolRateReply,
} from "@sluice/contract";
import { dayTeller, type Day } from "@sluice/policy";
import { createAdmissions } from "./admissions.ts";
import {
  parseAdmissionOptions,
  type RedisAdmissionOptions,
  type RedisAdmissionSettings,
} from "./admission-options.ts";
import { createDeadline } from "./deadline.ts";
import { describeSettings } from "./describe-settings.ts";
import { createGlobalBlocks } from "./global-blocks.ts";
import { createIds } from "./ids.ts";
import { createLeases } from "./leases.ts";
import { createLocalAdmission } from "./local-admission.ts";
import { assertClient } from "./redis-client.ts";
import { createRefusals } from "./refusals.ts";
import { createRemoteStore } from "./remote-store.ts";
import { scriptRunner } from "./run-script.ts";
import { createShards } from "./shards.ts";
import { createStoreBreaker } from "./store-breaker.ts";
import { createUpkeep } from "./upkeep.ts";
import { createWithoutRedis } from "./without-redis.ts";
import { wrongType, type WrongType } from "./wrong-type.ts";

/** Steps that may wait for Redis; a lease is over by itself, and a reservation at its deadline. */
const upkeepCapacity = 100_000;

/** A store over Redis, and what its owner waits for. */
export interface RedisAdmission extends AdmissionStore {
  takeTool(subject: string, mode?: GateMode): Promise<ToolRateReply | "unavailable">;
  /** Of the same limits on the same client, over a namespace of its own. Its losses are not told to `onState`. */
  apart(): RedisAdmission;
  /** Resolves once releases and settlements that had come are answered. */
  flush(): Promise<void>;
  state(): RedisAdmissionState;
}

export interface RedisAdmissionState {
  /** Requests of this process that are in flight. */
  readonly leases: number;
  /** Releases, heartbeats and settlements that Redis has not answered yet. */
  readonly pending: number;
  /** What was given up since the start: more waited than is kept, or its key holds what somebody else left. */
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
  assertClient("redisAdmission.client", settings.client);
  return openAdmission(settings, timeForTests);
}

/** No namespace of an option holds a colon, so none is met. */
const apartSuffix = ":apart";

function openAdmission(
  settings: RedisAdmissionSettings,
  timeForTests: (() => number) | undefined,
): RedisAdmission {
  const { client, clock, instanceId, leaseMs, maxLeases, toolRate } = settings;
  const shards = createShards(settings);
  const keys = shards.first;
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
  const processes = { shard: keys.shard, set: keys.processes, lists: undefined };
  const join = (): void => {
    const atMs = clock.monotonicMs();
    upkeep.add({ do: "join", counted: processes, id: instanceId, atMs, leaseMs });
  };
  const newId = createIds(instanceId);
  const leases = createLeases({ ...settings, upkeep });
  const isInBlocks = settings.globalBlocks !== undefined;
  const remote = createRemoteStore({
    // What is decided in blocks is not decided again.
    settings: isInBlocks
      ? { ...settings, globalInFlight: undefined, messageRate: undefined }
      : settings,
    shards,
    clock,
    newId,
    run: scripts.run,
    upkeep,
    scriptTime,
  });
  scripts.load(remote.scripts());
  const dayOf = dayTeller(settings.timeZone);
  const refusals = createRefusals({
    clock,
    policies: remote.policies,
    typicalWaitMs: () => leases.typicalWaitMs(),
  });
  const withoutRedis = createWithoutRedis({ settings, local, leases, remote, dayOf });
  const breaker = createStoreBreaker(clock, (isLost) => {
    if (!isLost) {
      // Also where no connection was made anew, as when a node of a cluster starts again: it may have lost them.
      leases.tellAll();
      // What Redis refused for a while is not kept from it now.
      void upkeep.flush();
    }
    try {
      settings.onState?.(isLost ? "lost" : "found");
    } catch {
      // It is theirs to handle.
    }
  });
  /** Tells the breaker. Undefined: without Redis, as also where one names a key that somebody else made. */
  const heard = <Answer>(reply: Answer | WrongType | undefined): Answer | undefined => {
    if (reply === undefined) breaker.missed();
    else breaker.answered();
    return reply === wrongType ? undefined : reply;
  };
  const furtherOf = async (
    subject: string,
    ask: AdmissionAsk,
    budget: BudgetAsk,
  ): Promise<SharedReply | "unavailable"> => {
    const day = dayOf(clock.wallMs());
    const replied = breaker.allows()
      ? heard(await remote.reserve(subject, ask, budget, day))
      : undefined;
    if (replied === undefined) return withoutRedis.reserve(subject, ask, budget);
    const [refusal] = replied.answer.refused;
    if (refusal !== undefined) return { granted: false, reason: refusal.reason };
    return {
      granted: true,
      reservation: admissions.toReservation(subject, ask, budget, day, replied),
    };
  };

  // What may become local is kept warm from the start.
  const isKeptWarm = settings.onLoss === "local" || typeof settings.onLoss === "function";
  const admissions = createAdmissions({
    clock,
    leases,
    upkeep,
    warm: isKeptWarm ? local : undefined,
    further: furtherOf,
  });

  const blockDeadline = createDeadline(clock, settings.deadlineMs);
  const blocks = isInBlocks
    ? createGlobalBlocks({
        settings,
        keys,
        shards,
        newId,
        run: scripts.run,
        upkeep,
        leases,
        deadline: blockDeadline,
        scriptTime,
        dayOf,
        mayAsk: () => breaker.allows(),
        heard,
        ask: async (...which) => heard(await remote.acquire(...which)),
        admissions,
        refusals,
        withoutRedis,
      })
    : undefined;

  const onReady = (): void => {
    // What goes on here is told before Redis' counts are trusted: it may have lost them.
    if (settings.heartbeat) join();
    leases.tellAll();
    blocks?.tellAll();
    void upkeep.flush();
  };
  client.on("ready", onReady);
  if (client.status === "ready") onReady();
  const stopJoining = settings.heartbeat ? clock.every(leaseMs / 3, join) : undefined;
  const stopRenewing =
    blocks && settings.heartbeat ? clock.every(leaseMs / 3, () => blocks.renew()) : undefined;

  const acquire = async (
    subject: string,
    ask: AdmissionAsk | undefined,
    day: Day,
  ): Promise<AdmissionReply | "unavailable"> => {
    const replied = heard(await remote.acquire(subject, ask, day));
    if (replied === undefined) return withoutRedis.acquire(subject, ask);
    return replied.answer.refused.length > 0
      ? refusals.toReply(replied.answer, ask, day.endsMs - clock.wallMs(), replied.shard)
      : admissions.toReply(subject, ask, day, replied);
  };

  return {
    name: "redis",
    leaseMs,
    countsBudgets: remote.policies.budgets.length > 0,
    countsCost: remote.policies.budgets.some(({ caps }) => caps.costNanoUsd !== undefined),
    acquire(subject, ask) {
      if (blocks !== undefined) return blocks.acquire(subject, ask);
      // Before the breaker is asked: what it lets through to look must reach Redis.
      if (!breaker.isLost) {
        if (leases.size >= maxLeases) return "unavailable";
        const known = refusals.remembered(ask, shards.indexOf(subject));
        if (known !== undefined) return known;
      }
      if (!breaker.allows()) return withoutRedis.acquire(subject, ask);
      return acquire(subject, ask, dayOf(clock.wallMs()));
    },
    async takeTool(_, mode = toolRate?.mode ?? "off") {
      // Before the breaker is asked: what it lets through to look must reach Redis.
      if (toolRate === undefined || mode === "off") return { allowed: true };
      const asked = { ...toolRate, mode };
      const reply = breaker.allows() ? heard(await remote.takeTool(asked)) : undefined;
      return reply ?? withoutRedis.takeTool(mode);
    },
    apart: () =>
      openAdmission(
        { ...settings, namespace: settings.namespace + apartSuffix, onState: undefined },
        timeForTests,
      ),
    describe: () => describeSettings(settings),
    flush: () => upkeep.flush(),
    state: () => ({
      leases: leases.size + (blocks?.inFlight ?? 0),
      pending: upkeep.pending,
      dropped: upkeep.dropped,
    }),
    close() {
      client.off("ready", onReady);
      stopJoining?.();
      stopRenewing?.();
      blocks?.close();
      blockDeadline.close();
      remote.close();
      leases.close();
      scripts.close();
    },
  };
}
