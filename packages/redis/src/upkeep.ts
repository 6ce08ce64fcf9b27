import type { RunScript } from "./run-script.ts";
import { upkeepScript } from "./scripts.ts";
import { encodeSteps } from "./upkeep-call.ts";
import { placeOf, type UpkeepStep } from "./upkeep-step.ts";

export interface Upkeep {
  /** Takes a step; it is sent with the others of this turn. */
  add(step: UpkeepStep): void;
  /** Sends what waits now, but for a second after a failure of its shard: what is refused once is refused again. */
  send(): void;
  /** Steps that wait, or whose answer does. */
  readonly pending: number;
  /**
   * Steps lost since the start, for want of room or for a key that somebody else made: leases end by
   * themselves, reservations at their deadline.
   */
  readonly dropped: number;
  /** Sends what waits, also after a failure. Resolves when everything that had come was answered or lost. */
  flush(): Promise<void>;
}

const perCall = 500;
/** Enough not to hammer a server that refuses, as one of a cluster does with what is elsewhere. */
const pauseAfterFailureMs = 1000;

/**
 * Sends releases, heartbeats and settlements in batches, off the path of any request. What fails stays and is
 * sent again with what comes later: each step may be carried out twice.
 */
export function createUpkeep(options: {
  readonly run: RunScript;
  readonly now: () => number;
  /** What scripts take for the time: '' is Redis' own clock. */
  readonly scriptTime: () => string;
  readonly capacity: number;
  /** Whether commands are taken now; what waits is sent later otherwise. */
  readonly canSend: () => boolean;
  /** How many processes share the limits, by their heartbeats. */
  readonly onProcesses: (count: number) => void;
}): Upkeep {
  const { run, now, scriptTime, capacity, canSend, onProcesses } = options;
  /** Each drop moves all that stay, so of a long queue more than one goes. */
  const droppedAtOnce = Math.ceil(capacity / 1000);
  // By shard: one may be elsewhere in a cluster, and away while others are not.
  const queues = new Map<string, Queue>();
  let waiting = 0;
  let sent = 0;
  let dropped = 0;
  let scheduled = false;
  const flushed: (() => void)[] = [];

  const settleFlushes = (): void => {
    if (waiting + sent > 0) return;
    for (const resolve of flushed.splice(0)) resolve();
  };

  const queueOf = (shard: string): Queue => {
    let queue = queues.get(shard);
    if (queue === undefined) queues.set(shard, (queue = { steps: [], pausedUntilMs: -Infinity }));
    return queue;
  };

  /** The oldest, of the shard that has most. */
  const drop = (count: number): void => {
    const longest = [...queues.values()].reduce((a, b) =>
      b.steps.length > a.steps.length ? b : a,
    );
    const gone = longest.steps.splice(0, count).length;
    waiting -= gone;
    dropped += gone;
  };

  const keep = (queue: Queue, steps: readonly UpkeepStep[]): void => {
    // Beats are due again anyway, and an old one would be no news.
    const kept = steps.filter((step) => step.do !== "beat" && step.do !== "join");
    queue.steps = [...kept, ...queue.steps];
    waiting += kept.length;
    const over = waiting - capacity;
    if (over > 0) drop(over);
  };

  const sendBatch = async (queue: Queue, steps: readonly UpkeepStep[]): Promise<void> => {
    sent += steps.length;
    try {
      const reply = await run(upkeepScript, ...encodeSteps(steps, scriptTime(), now()));
      queue.pausedUntilMs = -Infinity;
      const [processes, lost] = Array.isArray(reply)
        ? [Number(reply[1]), Number(reply[2])]
        : [0, 0];
      if (processes > 0) onProcesses(processes);
      dropped += lost;
    } catch {
      queue.pausedUntilMs = now() + pauseAfterFailureMs;
      keep(queue, steps);
    } finally {
      sent -= steps.length;
      settleFlushes();
    }
  };

  const send = (): void => {
    scheduled = false;
    if (waiting === 0 || !canSend()) return;
    const nowMs = now();
    for (const queue of queues.values()) {
      if (nowMs < queue.pausedUntilMs) continue;
      const { steps } = queue;
      queue.steps = [];
      waiting -= steps.length;
      for (let from = 0; from < steps.length; from += perCall) {
        void sendBatch(queue, steps.slice(from, from + perCall));
      }
    }
  };

  return {
    get pending() {
      return waiting + sent;
    },
    get dropped() {
      return dropped;
    },
    add(step) {
      if (waiting >= capacity) drop(droppedAtOnce);
      queueOf(placeOf(step).shard).steps.push(step);
      waiting += 1;
      if (scheduled) return;
      scheduled = true;
      queueMicrotask(send);
    },
    send,
    flush: () =>
      new Promise((resolve) => {
        flushed.push(resolve);
        for (const queue of queues.values()) queue.pausedUntilMs = -Infinity;
        send();
        settleFlushes();
      }),
  };
}

interface Queue {
  steps: UpkeepStep[];
  pausedUntilMs: number;
}
