import type { Clock } from "@sluice/contract";
import type { Deadline } from "./deadline.ts";
import type { RunScript } from "./run-script.ts";
import { rebalanceEveryMs, rebalanceShares, type RebalanceParts } from "./shares-rebalance.ts";

/** The shares of this store's shards, as this process sees to them. */
export interface Shares {
  /**
   * Somebody's shard has no share: they are split anew, by this process or by another that is at it. Resolves
   * once it is worth asking again, or not worth waiting.
   */
  restore(): Promise<void>;
  /** Splits them anew where nobody has done it lately; for hosts without timers, at each decision. */
  see(): void;
  close(): void;
}

/** So often a process asks whether another is done, a trip each time, before it gives up. */
const mostAsked = 25;
const jitter = 0.1;

/**
 * About once a second, by whichever process gets it, shares follow demand. What fails is not told: shares
 * stay as they are, and the next one sees to it.
 */
export function createShares(
  parts: Omit<RebalanceParts, "run"> & {
    readonly run: RunScript;
    readonly deadline: Deadline;
    readonly clock: Clock;
    readonly random: () => number;
    /** False: no timers; `see` is called instead. */
    readonly heartbeat: boolean;
  },
): Shares {
  const { run, deadline, clock, random, heartbeat } = parts;
  const within: RebalanceParts = { ...parts, run: (...call) => deadline.within(run(...call)) };
  let restoring: Promise<void> | undefined;
  let isBeating = false;
  let nextMs = clock.monotonicMs();
  let stop: (() => void) | undefined;

  const restore = async (): Promise<void> => {
    try {
      for (let asked = 0; asked < mostAsked; asked += 1) {
        const end = await rebalanceShares(within, asked === 0 ? "missing" : "wait");
        if (end !== "busy") return;
      }
    } catch {
      // Who waits for it asks again, and is refused.
    } finally {
      restoring = undefined;
    }
  };

  const everyMs = (): number => rebalanceEveryMs * (1 - jitter + 2 * jitter * random());

  const beat = async (): Promise<void> => {
    if (isBeating) return;
    isBeating = true;
    try {
      await rebalanceShares(within, "routine");
    } catch {
      // The next beat, or another process, sees to it.
    } finally {
      isBeating = false;
    }
  };

  const schedule = (): void => {
    stop?.();
    stop = clock.every(everyMs(), () => {
      schedule();
      void beat();
    });
  };
  if (heartbeat) schedule();

  return {
    restore: () => (restoring ??= restore()),
    see() {
      const nowMs = clock.monotonicMs();
      if (heartbeat || nowMs < nextMs) return;
      nextMs = nowMs + everyMs();
      void beat();
    },
    close() {
      stop?.();
      stop = undefined;
    },
  };
}
