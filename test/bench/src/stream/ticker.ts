import { setTimeout } from "node:timers/promises";
import { monotonicMs } from "./monotonic-ms.ts";

/** One timer for all streams: each tick wakes those of one slot, and a round has a tick for every slot. */
export interface Ticker {
  /** Resolves at the slot's next tick. */
  turn(slot: number): Promise<void>;
  /** Called at each tick with its slot, until the function that is returned is called. */
  onTick(listener: (slot: number) => void): () => void;
  /** How late ticks were, in milliseconds, since it was last asked. */
  takeLateness(): readonly number[];
  stop(): void;
}

export function startTicker({
  slots,
  tickMs,
}: {
  readonly slots: number;
  readonly tickMs: number;
}): Ticker {
  const turns = Array.from({ length: slots }, () => Promise.withResolvers<void>());
  const listeners = new Set<(slot: number) => void>();
  const stopping = new AbortController();
  let lateness: number[] = [];

  async function tick(): Promise<void> {
    for (let slot = 0; !stopping.signal.aborted; slot = (slot + 1) % slots) {
      const dueMs = monotonicMs() + tickMs;
      await setTimeout(tickMs);
      lateness.push(Math.max(0, monotonicMs() - dueMs));
      turns[slot]?.resolve();
      turns[slot] = Promise.withResolvers<void>();
      for (const listener of listeners) listener(slot);
    }
  }
  void tick();

  return {
    turn: (slot) => turns[slot]?.promise ?? Promise.resolve(),
    onTick(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    takeLateness() {
      const taken = lateness;
      lateness = [];
      return taken;
    },
    stop: () => stopping.abort(),
  };
}
