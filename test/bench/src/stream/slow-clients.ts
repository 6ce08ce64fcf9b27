import { Agent } from "node:http";
import { setTimeout } from "node:timers/promises";
import { createCrowd, type Crowd } from "./crowd.ts";
import type { Pace } from "./pace.ts";
import { readOverHttp, type Ending } from "./read-over-http.ts";

/** Readers of one route that streams, each over a socket of its own. */
export interface SlowClients extends Pick<Crowd, "filled" | "open" | "begun" | "drain"> {
  readonly ended: Readonly<Record<Ending, number>>;
  /** From the upstream's sending a piece to its client's having it, in milliseconds. */
  readonly delays: number[];
}

const stepMs = 20;

/**
 * Opens `count` streams over `rampMs`, and another for each that ends until they are drained, so that at
 * any time streams of every age are open.
 */
export function startClients(
  port: number,
  { count, pace, rampMs }: { readonly count: number; readonly pace: Pace; readonly rampMs: number },
): SlowClients {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: Number.POSITIVE_INFINITY,
    maxFreeSockets: count,
  });
  const crowd = createCrowd();
  const delays: number[] = [];
  const ended = { whole: 0, failed: 0, cut: 0 };

  async function read(id: number): Promise<void> {
    const from = { port, agent, user: `user-${id}`, pace };
    ended[await readOverHttp(from, (ms) => delays.push(ms))] += 1;
  }

  async function ramp(): Promise<void> {
    const startedMs = performance.now();
    for (let asked = 0; asked < count; ) {
      await setTimeout(stepMs);
      const due = Math.min(count, Math.ceil(((performance.now() - startedMs) / rampMs) * count));
      for (; asked < due; asked += 1) crowd.add(read);
    }
  }
  void ramp();

  return {
    get open() {
      return crowd.open;
    },
    get begun() {
      return crowd.begun;
    },
    filled: (wanted) => crowd.filled(wanted),
    ended,
    delays,
    async drain() {
      await crowd.drain();
      agent.destroy();
    },
  };
}
