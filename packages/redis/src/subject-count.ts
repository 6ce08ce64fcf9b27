import type { AdmissionLease, Clock } from "@sluice/contract";
import type { Leases } from "./leases.ts";
import type { PlaceOfSubject } from "./counted.ts";
import { createLinkedSet, type Linked } from "./linked-set.ts";

/** A request that was counted here, and is an ordinary lease now. */
interface Moved {
  readonly id: string;
  readonly isOver: () => boolean;
}

/** One subject's requests in flight that are counted in this process, not in Redis. */
export interface SubjectCount {
  /** Those that are counted here alone. */
  readonly size: number;
  /** Nothing is in flight here, nor untold. */
  readonly isEmpty: boolean;
  place(): AdmissionLease;
  dropExpired(): void;
  /** All become ordinary leases: they are told to Redis, with heartbeats and when they end. */
  move(): void;
  /** Moved, in flight, and not known to be in Redis. */
  untold(): readonly Moved[];
  wereTold(moved: readonly Moved[]): void;
}

interface Live extends Linked {
  readonly startedMs: number;
  touchedMs: number;
  moved: (Moved & { readonly lease: AdmissionLease }) | undefined;
}

export function createSubjectCount(parts: {
  readonly clock: Clock;
  readonly leases: Pick<Leases, "hold" | "ended">;
  readonly inRedis: PlaceOfSubject;
  readonly leaseMs: number;
  readonly maxAgeMs: number;
  readonly newId: () => string;
  /** So many more are counted here, or fewer. */
  readonly onChange: (by: number) => void;
}): SubjectCount {
  const { clock, leases, inRedis, leaseMs, maxAgeMs, newId, onChange } = parts;
  // In the order of expiry: a renewal moves one to the end.
  const all = createLinkedSet<Live>();
  const untold = new Set<Moved>();

  const isOver = (live: Live): boolean => live.touchedMs + leaseMs <= clock.monotonicMs();

  const end = (live: Live): boolean => {
    if (!all.delete(live)) return false;
    onChange(-1);
    return true;
  };

  const leaseOf = (live: Live): AdmissionLease => ({
    release() {
      if (live.moved !== undefined) {
        untold.delete(live.moved);
        live.moved.lease.release();
      } else if (end(live)) leases.ended(clock.monotonicMs() - live.startedMs);
    },
    renew() {
      const nowMs = clock.monotonicMs();
      if (isOver(live) || live.startedMs + maxAgeMs <= nowMs) return;
      if (live.moved !== undefined) {
        live.touchedMs = nowMs;
        live.moved.lease.renew();
      } else if (all.delete(live)) {
        live.touchedMs = nowMs;
        all.add(live);
      }
    },
  });

  const dropExpired = (): void => {
    for (const live of all) {
      if (!isOver(live)) return;
      end(live);
    }
  };

  return {
    get size() {
      return all.size;
    },
    get isEmpty() {
      return all.size === 0 && untold.size === 0;
    },
    place() {
      const nowMs = clock.monotonicMs();
      const live: Live = { startedMs: nowMs, touchedMs: nowMs, moved: undefined };
      all.add(live);
      onChange(1);
      return leaseOf(live);
    },
    dropExpired,
    move() {
      dropExpired();
      const { size } = all;
      for (const live of all) {
        const id = newId();
        const lease = leases.hold(id, inRedis.subject, [inRedis.counted], live.startedMs);
        live.touchedMs = clock.monotonicMs();
        live.moved = { id, lease, isOver: () => isOver(live) };
        untold.add(live.moved);
        all.delete(live);
      }
      if (size > 0) onChange(-size);
    },
    untold() {
      for (const moved of untold) if (moved.isOver()) untold.delete(moved);
      return [...untold];
    },
    wereTold(moved) {
      for (const one of moved) untold.delete(one);
    },
  };
}
