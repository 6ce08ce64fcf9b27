import type { Clock } from "@sluice/contract";

/** Timers that end together and keep no process alive. */
export interface WatchDelays {
  /** Once; the returned function cancels. */
  later(delayMs: number, callback: () => void): () => void;
  /** Cancels what is pending; nothing may be started after it. */
  close(): void;
}

export function watchDelays(clock: Clock): WatchDelays {
  const pending = new Set<() => void>();
  return {
    later(delayMs, callback) {
      const cancel = clock.every(delayMs, () => {
        stop();
        callback();
      });
      const stop = (): void => {
        pending.delete(stop);
        cancel();
      };
      pending.add(stop);
      return stop;
    },
    close() {
      for (const stop of pending) stop();
    },
  };
}
