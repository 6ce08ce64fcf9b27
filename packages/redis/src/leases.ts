import type { AdmissionLease, Clock } from "@sluice/contract";
import type { Counted } from "./counted.ts";
import { createLinkedSet, type Linked } from "./linked-set.ts";
import type { Upkeep } from "./upkeep.ts";

/** One object is what is known of a lease and the lease itself. */
class Live implements AdmissionLease, Linked {
  before: Linked | undefined = undefined;
  after: Linked | undefined = undefined;
  readonly id: string;
  readonly subject: string | undefined;
  readonly counted: readonly Counted[];
  readonly startedMs: number;
  /** When somebody last said that it goes on. */
  touchedMs: number;
  /** What Redis was last told of that. */
  toldMs: number;
  isOver = false;
  readonly #of: Holder;
  constructor(
    of: Holder,
    id: string,
    subject: string | undefined,
    counted: readonly Counted[],
    startedMs: number,
    nowMs: number,
  ) {
    this.id = id;
    this.subject = subject;
    this.counted = counted;
    this.startedMs = startedMs;
    this.touchedMs = nowMs;
    this.toldMs = nowMs;
    this.#of = of;
  }
  release(): void {
    this.#of.release(this);
  }
  renew(): void {
    this.#of.renew(this);
  }
}

interface Holder {
  release(live: Live): void;
  renew(live: Live): void;
}

/** The requests of this process that are in flight. */
export interface Leases {
  readonly size: number;
  /**
   * @param subject as it stands in Redis
   * @param counted what counts it there
   * @param startedMs of one that was in flight before, by the monotonic clock
   */
  hold(
    id: string,
    subject: string | undefined,
    counted: readonly Counted[],
    startedMs?: number,
  ): AdmissionLease;
  /** One that is held elsewhere ended, and took so long. */
  ended(tookMs: number): void;
  /** Tells Redis of all that live, whatever it knows: after a loss it may know nothing. */
  tellAll(): void;
  /** How long a place may take to become free, in milliseconds, from what requests took lately. */
  typicalWaitMs(): number;
  close(): void;
}

const beatsPerLease = 3;
const jitter = 0.1;
const remembered = 64;
const shortestWaitMs = 1000;
const longestWaitMs = 60_000;

/**
 * Leases as their process knows them. One that is renewed is told to Redis three times in a lease time, by
 * writing it anew: after a flush or a failover the truth is back within one beat.
 */
export function createLeases(options: {
  readonly clock: Clock;
  readonly random: () => number;
  readonly upkeep: Upkeep;
  readonly leaseMs: number;
  readonly maxAgeMs: number;
  readonly heartbeat: boolean;
}): Leases {
  const { clock, random, upkeep, leaseMs, maxAgeMs, heartbeat } = options;
  const all = createLinkedSet<Live>();
  const durations: number[] = [];
  let place = 0;
  let stopBeats: (() => void) | undefined;
  let nextBeatMs = 0;

  const tell = (live: Live): void => {
    live.toldMs = live.touchedMs;
    const { id, subject, touchedMs } = live;
    for (const counted of live.counted) {
      upkeep.add({ do: "beat", counted, id, subject, atMs: touchedMs, leaseMs });
    }
  };

  const end = (live: Live): boolean => {
    live.isOver = true;
    return all.delete(live);
  };

  const beat = (): void => {
    const now = clock.monotonicMs();
    for (const live of all) {
      // Over on both sides: what nobody renews is forgotten here when Redis has forgotten it.
      if (live.touchedMs + leaseMs <= now || live.startedMs + maxAgeMs <= now) end(live);
      // Also what nobody renewed since: Redis may have lost it.
      else if (heartbeat) tell(live);
    }
    stopBeats?.();
    stopBeats = undefined;
    if (all.size > 0) startBeats();
  };

  const startBeats = (): void => {
    const everyMs = (leaseMs / beatsPerLease) * (1 - jitter + 2 * jitter * random());
    nextBeatMs = clock.monotonicMs() + everyMs;
    stopBeats = clock.every(everyMs, beat);
  };

  const remember = (durationMs: number): void => {
    durations[place] = durationMs;
    place = (place + 1) % remembered;
  };

  const holder: Holder = {
    release(live) {
      if (!end(live)) return;
      remember(clock.monotonicMs() - live.startedMs);
      const { id, subject } = live;
      for (const counted of live.counted) upkeep.add({ do: "release", counted, id, subject });
    },
    renew(live) {
      const renewedMs = clock.monotonicMs();
      if (!heartbeat || live.isOver) return;
      if (live.touchedMs + leaseMs <= renewedMs || live.startedMs + maxAgeMs <= renewedMs) return;
      live.touchedMs = renewedMs;
      // The next beat would come too late for it, or just in time.
      if (live.toldMs + leaseMs <= nextBeatMs + leaseMs / 10) tell(live);
    },
  };

  return {
    get size() {
      return all.size;
    },
    ended: remember,
    hold(id, subject, counted, startedMs) {
      const nowMs = clock.monotonicMs();
      const live = new Live(holder, id, subject, counted, startedMs ?? nowMs, nowMs);
      all.add(live);
      if (stopBeats === undefined) startBeats();
      return live;
    },
    tellAll() {
      for (const live of all) tell(live);
    },
    typicalWaitMs() {
      const sorted = durations.toSorted((a, b) => a - b);
      const typical = sorted[sorted.length >> 1];
      if (typical === undefined) return shortestWaitMs;
      const now = clock.monotonicMs();
      const remaining: number[] = [];
      for (const { startedMs } of all) {
        const left = typical - (now - startedMs);
        // One that takes longer than most is as likely to go on as one that began.
        remaining.push(left > 0 ? left : typical);
        if (remaining.length === remembered) break;
      }
      remaining.sort((a, b) => a - b);
      const wait = remaining[remaining.length >> 1] ?? typical;
      return Math.min(longestWaitMs, Math.max(shortestWaitMs, wait * (1 + 0.2 * random())));
    },
    close() {
      stopBeats?.();
      stopBeats = undefined;
      for (const live of all) end(live);
    },
  };
}
