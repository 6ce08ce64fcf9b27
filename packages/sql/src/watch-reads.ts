import type { Clock, Confirmation } from "@sluice/contract";
import type { SqlQuery } from "./database.ts";
import { isTimeout, watchCode, WatchError } from "./watch-error.ts";
import type { WatchDelays } from "./watch-delays.ts";

export interface WatchReadsOptions {
  readonly clock: Clock;
  readonly delays: WatchDelays;
  /** Over the pool. */
  readonly pool: SqlQuery;
  /** Over the listening connection; undefined while there is none. */
  readonly listening: () => SqlQuery | undefined;
  /** Reads, and applies without waiting once its last query has answered. */
  readonly read: (query: SqlQuery) => Promise<void>;
  /** The listening connection left a read without an answer. */
  readonly onSilent: () => void;
  /** A read was applied, or failed whichever way it was sent. */
  readonly onEnd: () => void;
}

/** Who waits for a read. */
export interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface WatchReads {
  /** When the read that was last applied was sent; `neverConfirmed` before any was. */
  confirmedAt(): Confirmation;
  /** The code of the last read's failure; undefined once one was applied again. */
  trouble(): string | undefined;
  /** A read that is sent from now on: at once, or next where one is under way. */
  ask(waiter?: Waiter): void;
  /** A read over the pool where it has answered lately; nothing where a read is under way. */
  poll(): void;
  /** A read over the pool, where none was applied and none is under way. */
  readFirst(): void;
  /** The listening connection is gone: what was asked over it is asked over the pool. */
  leaveListener(): void;
  /** Who waits is told that the watch is closed. */
  close(): void;
}

interface Run {
  readonly over: "listener" | "pool";
  /** The other connection failed before it. */
  readonly standsIn: boolean;
  readonly waiters: Waiter[];
  readonly stopDeadline: () => void;
}

const deadlineMs = 1000;
/** Polls without an answer hold connections of the pool. */
const maxUnanswered = 4;
/** Even then some are sent: the pool may have connections that live again. */
const sparsely = 10;

export const neverConfirmed: Confirmation = {
  monotonicMs: Number.NEGATIVE_INFINITY,
  wallMs: Number.NEGATIVE_INFINITY,
};

/**
 * One read counts at a time, and each is sent after the one before it was applied or given up, so
 * snapshots are applied in their order.
 */
export function watchReads(options: WatchReadsOptions): WatchReads {
  const { clock, delays, pool, listening } = options;
  let confirmed = neverConfirmed;
  let trouble: string | undefined;
  let underWay: Run | undefined;
  /** Who waits for the read after the one under way; undefined where none is asked for. */
  let next: Waiter[] | undefined;
  let unanswered = 0;
  let skipped = 0;

  const start = (over: Run["over"], waiters: Waiter[], standsIn = false): void => {
    // A read is true of the time before it was sent: this process may stand still before the answer.
    const sent = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    const stopDeadline = delays.later(deadlineMs, () =>
      end(run, new WatchError("TIMEOUT", "no answer")),
    );
    const run: Run = { over, standsIn, waiters, stopDeadline };
    underWay = run;
    const query = over === "listener" ? (listening() ?? pool) : pool;
    const whileCurrent: SqlQuery = async (text, parameters) => {
      assertCurrent(run);
      const result = await query<never>(text, parameters);
      assertCurrent(run);
      return result;
    };
    void carryOut(run, whileCurrent, sent);
  };

  const startAnywhere = (waiters: Waiter[]): void =>
    start(listening() === undefined ? "pool" : "listener", waiters);

  const carryOut = async (run: Run, query: SqlQuery, sent: Confirmation): Promise<void> => {
    if (run.over === "pool") unanswered += 1;
    let error: unknown;
    try {
      await options.read(query);
      if (underWay === run) confirmed = sent;
    } catch (thrown) {
      error = thrown ?? new WatchError("UNKNOWN", "nothing was thrown");
    }
    if (run.over === "pool") unanswered -= 1;
    end(run, error);
  };

  const assertCurrent = (run: Run): void => {
    if (underWay !== run) throw new WatchError("CLOSED", "the read was given up");
  };

  const leave = (run: Run): void => {
    run.stopDeadline();
    underWay = undefined;
  };

  const end = (run: Run, error: unknown): void => {
    if (underWay !== run) return;
    leave(run);
    const timedOut = isTimeout(error);
    if (timedOut && run.over === "listener") options.onSilent();
    if (error !== undefined && !run.standsIn) {
      // Either may work where the other does not: a pool may be used up, a listening connection dead.
      if (run.over === "pool" && listening() !== undefined) {
        return start("listener", run.waiters, true);
      }
      if (run.over === "listener" && timedOut) return start("pool", run.waiters, true);
    }
    trouble = error === undefined ? undefined : watchCode(error);
    for (const waiter of run.waiters) {
      if (error === undefined) waiter.resolve();
      else waiter.reject(error);
    }
    options.onEnd();
    const waiters = next;
    next = undefined;
    if (waiters !== undefined) startAnywhere(waiters);
  };

  return {
    confirmedAt: () => confirmed,
    trouble: () => trouble,
    ask(waiter) {
      const waiters = waiter === undefined ? [] : [waiter];
      if (underWay === undefined) {
        startAnywhere(waiters);
      } else if (underWay.over === "pool" && listening() !== undefined) {
        // A poll may wait for a connection while a kill is announced; its answer would be older anyway.
        const given = underWay;
        leave(given);
        start("listener", [...given.waiters, ...waiters]);
      } else {
        next = [...(next ?? []), ...waiters];
      }
    },
    poll() {
      // Given up after its deadline, so the next poll finds none.
      if (underWay !== undefined) return;
      if (unanswered < maxUnanswered) return start("pool", []);
      if (listening() !== undefined) return start("listener", []);
      skipped = (skipped + 1) % sparsely;
      if (skipped === 0) start("pool", []);
    },
    readFirst() {
      if (confirmed === neverConfirmed && underWay === undefined) start("pool", []);
    },
    leaveListener() {
      const run = underWay;
      if (run?.over !== "listener") return;
      leave(run);
      start("pool", run.waiters, true);
    },
    close() {
      const waiters = [...(underWay?.waiters ?? []), ...(next ?? [])];
      underWay = undefined;
      next = undefined;
      for (const { reject } of waiters) reject(new WatchError("CLOSED", "the watch is closed"));
    },
  };
}
