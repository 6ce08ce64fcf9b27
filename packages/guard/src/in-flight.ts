import { Reason, type Clock } from "@sluice/contract";
import type { Safety } from "./safety.ts";
import type { Work } from "./work.ts";

/** How often work in flight is held against the flags; the environment tells of no change. */
const tickMs = 20;
/** How often leases are renewed and abandoned decisions looked for. */
const upkeepMs = 1000;
/** A decision that nobody executes gives its holds back after so long. */
export const abandonedMs = 30_000;
/** That of a shadow may wait for somebody else's answer to end. */
export const shadowAbandonedMs = 10 * 60_000;

/** The decisions that hold something. */
export interface InFlight<In> {
  readonly size: number;
  add(work: Work<In>): void;
  remove(work: Work<In>): void;
  /** Aborts what runs if the feature is shut now. */
  check(): void;
  /** Aborts the work of one run. */
  stopRun(run: string | undefined): void;
  close(): void;
}

/**
 * Watches over work in flight for as long as there is any: aborts it when the feature is shut, renews
 * its leases, and gives back what an abandoned decision holds.
 */
export function createInFlight<In>(options: {
  readonly clock: Clock;
  readonly safety: Safety;
  readonly leaseMs: number;
  /** The shortest limit of a stream's clocks: what begins now can't be due before. */
  readonly shortestMs: number;
  readonly abandonedMs: number;
  /** Gives back what a decision holds that nobody executed. */
  readonly onAbandoned: (work: Work<In>) => void;
}): InFlight<In> {
  const { clock, safety, leaseMs, shortestMs, onAbandoned } = options;
  const works = new Set<Work<In>>();
  const renewMs = Math.min(upkeepMs, leaseMs / 3);
  let stopTicking: (() => void) | undefined;
  let upkeptMs = 0;
  /** Nothing's time is up before; to look at each of many at every tick would cost more than their work. */
  let dueMs = 0;

  const check = (): void => {
    if (works.size === 0) return;
    const shut = safety.shut();
    if (shut === undefined) return;
    for (const work of works) work.stop({ kind: "shut", reason: shut.reason });
  };

  const upkeep = (now: number): void => {
    upkeptMs = now;
    for (const work of works) {
      if (work.isOpen && now - work.decidedMs >= options.abandonedMs) onAbandoned(work);
      else work.renew();
    }
  };

  const tick = (): void => {
    if (works.size === 0) {
      stopTicking?.();
      stopTicking = undefined;
      return;
    }
    check();
    const now = clock.monotonicMs();
    if (now >= dueMs) {
      dueMs = now + shortestMs;
      for (const work of works) dueMs = Math.min(dueMs, work.check(now));
    }
    if (now - upkeptMs >= renewMs) upkeep(now);
  };

  return {
    get size() {
      return works.size;
    },
    add(work) {
      works.add(work);
      if (stopTicking === undefined) {
        upkeptMs = work.decidedMs;
        stopTicking = clock.every(tickMs, tick);
      }
    },
    remove: (work) => void works.delete(work),
    check,
    stopRun(run) {
      for (const work of works) {
        if (work.context.request.run === run) work.stop({ kind: "shut", reason: Reason.TRIPPED });
      }
    },
    close() {
      // What is still in flight is watched over to its end.
      if (works.size > 0) return;
      stopTicking?.();
      stopTicking = undefined;
    },
  };
}
