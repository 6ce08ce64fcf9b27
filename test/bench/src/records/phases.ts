import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate, setTimeout } from "node:timers/promises";
import { percentiles } from "../stream/percentiles.ts";
import type { Serve } from "./contenders.ts";

export interface PacedPhase {
  readonly served: number;
  /** How late the event loop was, in milliseconds. */
  readonly delayP99Ms: number;
  readonly requestP50Ms: number;
  readonly requestP99Ms: number;
  readonly cpuUs: number;
}

const tickMs = 2;

/** Serves at a fixed rate, whether the calls before are done or not. */
export async function servePaced(
  serve: Serve,
  perSecond: number,
  durationMs: number,
): Promise<PacedPhase> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const taken: number[] = [];
  const pending = new Set<Promise<void>>();
  const one = async (): Promise<void> => {
    const started = performance.now();
    await serve();
    taken.push(performance.now() - started);
  };
  delay.enable();
  const cpu = process.cpuUsage();
  const started = performance.now();
  for (let elapsed = 0; elapsed < durationMs; elapsed = performance.now() - started) {
    const due = Math.floor((elapsed / 1000) * perSecond) - taken.length - pending.size;
    for (let call = 0; call < due; call += 1) {
      const served = one();
      pending.add(served);
      void served.then(() => pending.delete(served));
    }
    await setTimeout(tickMs);
  }
  await Promise.all(pending);
  const { user, system } = process.cpuUsage(cpu);
  delay.disable();
  const { p50, p99 } = percentiles(taken);
  return {
    served: taken.length,
    delayP99Ms: delay.percentile(99) / 1e6,
    requestP50Ms: p50,
    requestP99Ms: p99,
    cpuUs: user + system,
  };
}

const callers = 20;

/** Calls per second, each caller's next after its last, with a turn of the event loop between rounds. */
export async function serveFast(serve: Serve, durationMs: number): Promise<number> {
  const started = performance.now();
  let served = 0;
  let elapsed = 0;
  while (elapsed < durationMs) {
    await Promise.all(Array.from({ length: callers }, serve));
    await setImmediate();
    served += callers;
    elapsed = performance.now() - started;
  }
  return (served / elapsed) * 1000;
}
