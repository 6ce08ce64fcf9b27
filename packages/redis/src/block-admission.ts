import {
  ConfigError,
  Reason,
  type AdmissionAsk,
  type AdmissionLease,
  type AdmissionReply,
  type Clock,
} from "@sluice/contract";
import type { RedisAdmissionSettings } from "./admission-options.ts";
import { createLinkedSet, type Linked } from "./linked-set.ts";
import { blockOf, type BlockLimits, type Blocks, type Missing, type Needs } from "./blocks.ts";

/** Global limits decided here, out of blocks. */
export interface BlockAdmission {
  /** At once where a block has room; undefined when Redis is asked and does not answer. */
  acquire(ask: AdmissionAsk | undefined): BlockReply | Promise<BlockReply | undefined>;
  /** Requests that hold what they took. */
  readonly size: number;
  /** Tells Redis what is held, without what is over. */
  renew(): void;
  close(): void;
}
type Admitted = Extract<AdmissionReply, { admitted: true }>;
type Refused = Exclude<AdmissionReply, Admitted>;
export type BlockReply = BlockAdmitted | Refused | "unavailable";
export type BlockAdmitted = Admitted & { readonly lease: BlockLease };
interface BlockLease extends AdmissionLease {
  /** Of a request that was refused after all: the message goes back, too. */
  undo(): void;
  /** Whether the place is still this request's. */
  readonly isCovered: boolean;
}

/** One object is the place held and its lease: most of what a decision costs here is what it makes. */
class Held implements BlockLease, Linked {
  before: Linked | undefined;
  after: Linked | undefined;
  readonly needs: Needs;
  readonly startedMs: number;
  expiresMs: number;
  readonly #of: Holder;
  constructor(of: Holder, needs: Needs, startedMs: number) {
    this.before = undefined;
    this.after = undefined;
    this.needs = needs;
    this.startedMs = startedMs;
    this.expiresMs = startedMs + of.leaseMs;
    this.#of = of;
  }
  release(): void {
    this.#of.end(this);
  }
  undo(): void {
    this.#of.end(this);
    if (this.needs.message) this.#of.blocks.giveBackMessage();
  }
  get isCovered(): boolean {
    const { clock, blocks } = this.#of;
    return this.expiresMs > clock.monotonicMs() && (!this.needs.place || blocks.coversPlaces);
  }
  renew(): void {
    this.#of.renew(this);
  }
}

/** What all leases of one store share. */
interface Holder {
  readonly clock: Clock;
  readonly blocks: Blocks;
  readonly leaseMs: number;
  end(held: Held): void;
  renew(held: Held): void;
}

const names = { places: "global_in_flight", messages: "message_rate" } as const;
const needsNothing: Needs = { place: false, message: false };
const needsPlace: Needs = { place: true, message: false };
const needsMessage: Needs = { place: false, message: true };
const needsBoth: Needs = { place: true, message: true };
const noReasons: readonly Reason[] = [];
const reasons = { places: Reason.GLOBAL_IN_FLIGHT, messages: Reason.MESSAGE_RATE } as const;

/** @throws ConfigError for limits that can't be cut, or are too small to be cut for so many */
export function toBlockLimits(settings: RedisAdmissionSettings): BlockLimits {
  const { globalBlocks, globalInFlight, messageRate } = settings;
  const processes = globalBlocks?.processes ?? 1;
  if (!settings.heartbeat) {
    throw new ConfigError({
      option: "redisAdmission.globalBlocks",
      got: "heartbeat: false",
      expected: "heartbeats: what a process holds is renewed by them",
    });
  }
  if ((globalInFlight ?? messageRate) === undefined) {
    throw new ConfigError({
      option: "redisAdmission.globalBlocks",
      got: "neither globalInFlight nor messageRate",
      expected: "one of them: blocks are cut from global limits",
    });
  }
  for (const [option, limit] of Object.entries({ globalInFlight, messageRate })) {
    if (limit?.candidate === undefined) continue;
    throw new ConfigError({
      option: `redisAdmission.${option}.candidate`,
      got: "a candidate with globalBlocks",
      expected: "none: what is decided in blocks is not counted where a candidate could look on",
    });
  }
  const cut = (option: string, limit: number): number => {
    const block = blockOf(limit, processes);
    if (block >= 1) return block;
    throw new ConfigError({
      option: `redisAdmission.${option}`,
      got: String(limit),
      expected: `at least ${20 * processes}, 20 for each of globalBlocks.processes`,
    });
  };
  const burst = messageRate?.burst ?? messageRate?.count ?? 0;
  return {
    processes,
    places: globalInFlight && {
      limit: globalInFlight.limit,
      block: cut("globalInFlight.limit", globalInFlight.limit),
    },
    messages: messageRate && {
      emissionMs: messageRate.perMs / messageRate.count,
      burst,
      block: cut("messageRate.burst", burst),
    },
  };
}

export function createBlockAdmission(parts: {
  readonly settings: RedisAdmissionSettings;
  readonly blocks: Blocks;
  /** False when Redis does not answer. */
  readonly refill: () => Promise<boolean>;
  readonly typicalWaitMs: () => number;
}): BlockAdmission {
  const { settings, blocks, refill, typicalWaitMs } = parts;
  const { leaseMs, maxAgeMs, maxLeases, globalInFlight, messageRate } = settings;
  const clock: Clock = settings.clock;
  // In the order of expiry: a renewal moves one to the end.
  const all = createLinkedSet<Held>();
  const placesMode = globalInFlight?.mode ?? "off";
  const messagesMode = messageRate?.mode ?? "off";

  const holder: Holder = {
    clock,
    blocks,
    leaseMs,
    end(held) {
      if (all.delete(held) && held.needs.place) blocks.giveBackPlace();
    },
    renew(held) {
      const nowMs = clock.monotonicMs();
      if (held.expiresMs <= nowMs || held.startedMs + maxAgeMs <= nowMs) return;
      if (!all.delete(held)) return;
      held.expiresMs = nowMs + leaseMs;
      all.add(held);
    },
  };

  const dropExpired = (nowMs: number): void => {
    for (let held = all.first; held !== undefined && held.expiresMs <= nowMs; held = all.first) {
      holder.end(held);
    }
  };

  const modesOf = (ask: AdmissionAsk | undefined) => ({
    places: ask?.modes?.global_in_flight ?? placesMode,
    messages: ask?.modes?.message_rate ?? messagesMode,
  });

  const needsOf = (ask: AdmissionAsk | undefined): Needs => {
    const place = (ask?.modes?.global_in_flight ?? placesMode) !== "off";
    const message = (ask?.modes?.message_rate ?? messagesMode) !== "off";
    return place ? (message ? needsBoth : needsPlace) : message ? needsMessage : needsNothing;
  };

  const admit = (
    needs: Needs,
    wouldRefuse: readonly Reason[],
    nowMs = clock.monotonicMs(),
  ): BlockAdmitted => {
    blocks.take(needs);
    const lease = new Held(holder, needs, nowMs);
    all.add(lease);
    return { admitted: true, lease, wouldRefuse };
  };

  const refuse = (what: Missing, wouldRefuse: readonly Reason[]): Refused => ({
    admitted: false,
    reason: reasons[what],
    retryAfterMs: what === "places" ? typicalWaitMs() : blocks.messageWaitMs,
    wouldRefuse,
    violated: [names[what]],
  });

  const fetchThenDecide = async (
    ask: AdmissionAsk | undefined,
    needs: Needs,
  ): Promise<BlockReply | undefined> => {
    const modes = modesOf(ask);
    const would: Reason[] = [];
    let left = needs;
    for (;;) {
      const missing = blocks.missing(left);
      if (missing === undefined) return admit(left, would);
      if (!(await refill())) return undefined;
      const still = blocks.missing(left);
      if (still === undefined) return admit(left, would);
      if (!blocks.isOut(still)) continue;
      if (modes[still] === "enforce") return refuse(still, would);
      // A shadow is told of it, and does not count it.
      would.push(reasons[still]);
      left = still === "places" ? { ...left, place: false } : { ...left, message: false };
    }
  };

  return {
    acquire(ask) {
      const nowMs = clock.monotonicMs();
      dropExpired(nowMs);
      if (all.size >= maxLeases) return "unavailable";
      const needs = needsOf(ask);
      if (blocks.missing(needs, nowMs) === undefined) return admit(needs, noReasons, nowMs);
      blocks.enter();
      return fetchThenDecide(ask, needs).finally(() => blocks.leave());
    },
    get size() {
      return all.size;
    },
    renew() {
      dropExpired(clock.monotonicMs());
      blocks.renew();
    },
    close() {
      for (const live of all) all.delete(live);
      blocks.close();
    },
  };
}
