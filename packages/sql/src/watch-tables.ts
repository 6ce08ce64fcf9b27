import type { Clock, Confirmation } from "@sluice/contract";
import { callQuietly } from "./call-quietly.ts";
import type { SqlDatabase, SqlListener, SqlQuery } from "./database.ts";
import { errorCode } from "./error-code.ts";

/**
 * How tables are watched now. `listening`: changes are heard. `polling`: they are seen by the next poll.
 * `unreachable`: reads fail, and what was read grows stale.
 */
export interface WatchState {
  readonly state: "listening" | "polling" | "unreachable";
  /**
   * Of what ended the state before: an SQLSTATE, the system's code, or `TIMEOUT`, `NOT_LISTENING`
   * (a transaction pooler stands between), `STANDBY`, `CLOSED`, `UNKNOWN`.
   */
  readonly code: string | undefined;
}

export interface WatchTablesOptions {
  readonly clock: Clock;
  /** From 0, inclusive, to 1; spreads polls and reconnections of many processes. */
  readonly random: () => number;
  readonly channel: string;
  /** False where a connection can't hear a channel, behind a transaction pooler say: then only polls. Default: true. */
  readonly listen?: boolean;
  /** Between polls, ± 20 %. Default: 1000. */
  readonly pollMs?: number;
  /** Between looks whether the listening connection still answers. Default: 1000. */
  readonly heartbeatMs?: number;
  /**
   * Reads, and applies without waiting once its last query has answered; a query of a read that was
   * given up rejects, so an old snapshot is never applied over a newer one. Its success confirms.
   */
  readonly read: (query: SqlQuery) => Promise<void>;
  /** Once per change of state; what it throws is ignored. */
  readonly onState?: (state: WatchState) => void;
}

export interface TableWatch {
  /** When the read that was last applied was sent; minus infinity on both clocks before any was. */
  confirmedAt(): Confirmation;
  /** Resolves once a read that was sent after this call is applied; rejects when it fails. */
  refresh(): Promise<void>;
  close(): void;
}

type WatchCode = "TIMEOUT" | "NOT_LISTENING" | "STANDBY" | "CLOSED" | "UNKNOWN";

/** A failure without text of the database's, which may hold data. */
export class WatchError extends Error {
  readonly code: WatchCode;

  constructor(code: WatchCode, message: string) {
    super(message);
    this.name = "WatchError";
    this.code = code;
  }
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Beat {
  readonly pid: unknown;
  readonly heard: unknown;
}

interface Run {
  readonly over: "listener" | "pool";
  /** The other connection failed before it. */
  readonly standsIn: boolean;
  readonly waiters: Waiter[];
  readonly stopDeadline: () => void;
}

const deadlineMs = 1000;
const connectDeadlineMs = 5000;
const firstReconnectMs = 100;
const longestReconnectMs = 2000;
/** A pooler stays one; it is looked at again in case the connection string leads elsewhere now. */
const pooledReconnectMs = 60_000;
/** Polls without an answer hold connections of the pool. */
const maxUnanswered = 4;
/** Even then some are sent: the pool may have connections that live again. */
const sparsely = 10;

const never: Confirmation = {
  monotonicMs: Number.NEGATIVE_INFINITY,
  wallMs: Number.NEGATIVE_INFINITY,
};

const heartbeat = `SELECT pg_backend_pid() AS pid,
  EXISTS (SELECT FROM pg_listening_channels() AS c WHERE c = $1) AS heard`;

/**
 * Keeps what `read` applies up to date: over one listening connection on each NOTIFY, and by polls over
 * the pool, whichever works. One read counts at a time, and each is sent after the one before it was
 * applied or given up, so snapshots are applied in their order.
 */
export function watchTables(db: SqlDatabase, options: WatchTablesOptions): TableWatch {
  const { clock, random, channel, listen = true, pollMs = 1000, heartbeatMs = 1000 } = options;
  let closed = false;
  let confirmed = never;
  let failing: { readonly code: string } | undefined;
  let told: WatchState["state"] | undefined;

  let underWay: Run | undefined;
  /** Who waits for the read after the one under way; undefined where none is asked for. */
  let next: Waiter[] | undefined;
  let unanswered = 0;
  let skipped = 0;

  let listener: SqlListener | undefined;
  let connecting: object | undefined;
  let reconnects = 0;
  let lost: string | undefined;
  let beating: SqlListener | undefined;
  let backend: unknown;

  const pending = new Set<() => void>();
  /** Once, without keeping the process alive. */
  const later = (delayMs: number, callback: () => void): (() => void) => {
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
  };

  const tell = (): void => {
    if (closed || (failing === undefined && confirmed === never)) return;
    const reachable = listener === undefined ? "polling" : "listening";
    const state = failing === undefined ? reachable : "unreachable";
    if (state === told) return;
    told = state;
    const code = failing?.code ?? (state === "polling" ? lost : undefined);
    callQuietly(() => options.onState?.({ state, code }));
  };

  const start = (over: Run["over"], waiters: Waiter[], standsIn = false): void => {
    // A read is true of the time before it was sent: this process may stand still before the answer.
    const sent = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    const stopDeadline = later(deadlineMs, () => end(run, new WatchError("TIMEOUT", "no answer")));
    const run: Run = { over, standsIn, waiters, stopDeadline };
    underWay = run;
    const query = over === "listener" ? (listener?.query ?? db.query) : db.query;
    const whileCurrent: SqlQuery = async (text, parameters) => {
      assertCurrent(run);
      const result = await query<never>(text, parameters);
      assertCurrent(run);
      return result;
    };
    void carryOut(run, whileCurrent, sent);
  };

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
    if (timedOut && run.over === "listener") lose(codeOf(error));
    if (error !== undefined && !run.standsIn) {
      // Either may work where the other does not: a pool may be used up, a listening connection dead.
      if (run.over === "pool" && listener !== undefined)
        return start("listener", run.waiters, true);
      if (run.over === "listener" && timedOut) return start("pool", run.waiters, true);
    }
    failing = error === undefined ? undefined : { code: codeOf(error) };
    for (const waiter of run.waiters) {
      if (error === undefined) waiter.resolve();
      else waiter.reject(error);
    }
    tell();
    const waiters = next;
    next = undefined;
    if (waiters !== undefined) start(listener === undefined ? "pool" : "listener", waiters);
  };

  /** A read that is sent from now on: at once, or next where one is under way. */
  const ask = (waiter?: Waiter): void => {
    const waiters = waiter === undefined ? [] : [waiter];
    if (underWay === undefined) {
      start(listener === undefined ? "pool" : "listener", waiters);
    } else if (underWay.over === "pool" && listener !== undefined) {
      // A poll may wait for a connection while a kill is announced; its answer would be older anyway.
      const given = underWay;
      leave(given);
      start("listener", [...given.waiters, ...waiters]);
    } else {
      next = [...(next ?? []), ...waiters];
    }
  };

  const poll = (): void => {
    later(pollMs * (0.8 + 0.4 * random()), poll);
    // Given up after its deadline, so the next poll finds none.
    if (underWay !== undefined) return;
    if (unanswered < maxUnanswered) return start("pool", []);
    if (listener !== undefined) return start("listener", []);
    skipped = (skipped + 1) % sparsely;
    if (skipped === 0) start("pool", []);
  };

  const connect = (): void => {
    const attempt = {};
    let ended = false;
    connecting = attempt;
    const stopDeadline = later(connectDeadlineMs, () => failed(new WatchError("TIMEOUT", "none")));
    const failed = (error: unknown): void => {
      if (connecting !== attempt) return;
      connecting = undefined;
      stopDeadline();
      lost = codeOf(error);
      reconnect(lost);
      // Nothing was read yet, and the first poll is a while off.
      if (confirmed === never && underWay === undefined) start("pool", []);
    };
    const heard = (): void => {
      if (listener !== undefined && mine === listener) ask();
    };
    let mine: SqlListener | undefined;
    const open = async (): Promise<void> => {
      const opened = await db.listen(channel, {
        onNotify: heard,
        onEnd(error) {
          ended = true;
          if (mine !== undefined && mine === listener) lose(codeOf(error));
        },
      });
      if (closed || connecting !== attempt) return opened.close();
      if (ended) return failed(undefined);
      connecting = undefined;
      stopDeadline();
      mine = opened;
      listener = opened;
      backend = undefined;
      // Whatever changed while nothing was heard.
      ask();
      void beat();
    };
    open().catch(failed);
  };

  const reconnect = (code: string): void => {
    if (closed) return;
    const backoffMs = Math.min(longestReconnectMs, firstReconnectMs * 2 ** Math.min(reconnects, 5));
    reconnects += 1;
    const delayMs = code === "NOT_LISTENING" ? pooledReconnectMs : backoffMs;
    later(delayMs * (0.5 + random()), connect);
  };

  const lose = (code: string): void => {
    const gone = listener;
    if (gone === undefined) return;
    listener = undefined;
    lost = code;
    gone.close();
    reconnect(code);
    const run = underWay;
    if (run?.over === "listener") {
      leave(run);
      start("pool", run.waiters, true);
    }
    tell();
  };

  /** A connection whose packets vanish gives no error at all, so it has to answer now and then. */
  const beat = async (): Promise<void> => {
    const asked = listener;
    if (asked === undefined || beating === asked) return;
    beating = asked;
    const stopDeadline = later(deadlineMs, () => {
      if (asked === listener) lose("TIMEOUT");
    });
    try {
      const { rows } = await asked.query<Beat>(heartbeat, [channel]);
      if (asked !== listener) return;
      const [row] = rows;
      const moved = backend !== undefined && backend !== row?.pid;
      // It lived from one beat to the next, so a loss is no attempt in a row.
      if (backend !== undefined) reconnects = 0;
      backend = row?.pid;
      // A pooler hands each statement to whichever connection is free; what that hears is lost.
      if (moved || row?.heard === false) lose("NOT_LISTENING");
    } catch (error) {
      if (asked === listener) lose(codeOf(error));
    } finally {
      stopDeadline();
      if (beating === asked) beating = undefined;
    }
  };

  later(pollMs * (0.8 + 0.4 * random()), poll);
  const stopBeats = listen ? clock.every(heartbeatMs, () => void beat()) : undefined;
  if (listen) connect();
  else start("pool", []);

  return {
    confirmedAt: () => confirmed,
    refresh: () =>
      new Promise((resolve, reject) => {
        if (closed) reject(new WatchError("CLOSED", "the watch is closed"));
        else ask({ resolve, reject });
      }),
    close() {
      if (closed) return;
      closed = true;
      stopBeats?.();
      for (const stop of pending) stop();
      const waiters = [...(underWay?.waiters ?? []), ...(next ?? [])];
      underWay = undefined;
      next = undefined;
      connecting = undefined;
      listener?.close();
      listener = undefined;
      for (const { reject } of waiters) reject(new WatchError("CLOSED", "the watch is closed"));
    },
  };
}

function isTimeout(error: unknown): boolean {
  return error instanceof WatchError && error.code === "TIMEOUT";
}

const codeOf = (error: unknown): string => errorCode(error) ?? "UNKNOWN";
