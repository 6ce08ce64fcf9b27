import type { Clock } from "@sluice/contract";
import type { Work } from "./work.ts";

/** Waits, unless the work is stopped before. */
export async function pause<In>(clock: Clock, delayMs: number, work: Work<In>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(delayMs, resolve);
  const forget = work.onStop(resolve);
  try {
    await promise;
  } finally {
    cancel();
    forget();
  }
}
