import type { Clock } from "@sluice/contract";
import type { Work } from "./work.ts";

/**
 * Waits between two attempts until the reader has made room, the work is stopped or its time is up. A
 * reader who stands still for too long counts as gone.
 */
export async function awaitRoom<In>(
  room: Promise<void>,
  { clock, clocks }: { readonly clock: Clock; readonly clocks: { readonly readerMs: number } },
  work: Work<In>,
  deadlineMs: number,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const leftMs = deadlineMs - clock.monotonicMs();
  const cancel = clock.after(Math.min(clocks.readerMs, leftMs), () => {
    if (clocks.readerMs <= leftMs) work.stop({ kind: "client" });
    else resolve();
  });
  const forget = work.onStop(resolve);
  try {
    await Promise.race([room, promise]);
  } finally {
    cancel();
    forget();
  }
}
