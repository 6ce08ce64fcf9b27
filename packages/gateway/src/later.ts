import type { Clock } from "@sluice/contract";

/** A turn of the event loop has room for so many; each brings what it set going to where it waits. */
const perTurn = 4;

/**
 * Work that nobody waits for, kept back and done together: what is asked for begins within `delayMs`, in the
 * order of asking, a few a turn of the event loop so that what clients wait for has its turn in between. Done
 * by itself between two other requests the same work takes the processor several times as long. The returned
 * promises never reject.
 */
export function createLater(clock: Clock, delayMs: number): () => Promise<void> {
  const waiting = new Set<() => void>();
  let isDue = false;

  const begin = (): void => {
    let room = perTurn;
    for (const go of waiting) {
      waiting.delete(go);
      // Microtasks run between two immediates of one turn.
      setImmediate(go);
      room -= 1;
      if (room === 0) break;
    }
    if (waiting.size > 0) setImmediate(begin);
    else isDue = false;
  };

  return () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.add(resolve);
    if (!isDue) {
      isDue = true;
      clock.after(delayMs, begin);
    }
    return promise;
  };
}
