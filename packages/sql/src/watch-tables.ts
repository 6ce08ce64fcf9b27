import type { Clock, Confirmation } from "@sluice/contract";
import { callQuietly } from "./call-quietly.ts";
import type { SqlDatabase, SqlQuery } from "./database.ts";
import { watchConnection, type WatchConnection } from "./watch-connection.ts";
import { WatchError } from "./watch-error.ts";
import { neverConfirmed, watchReads } from "./watch-reads.ts";
import { watchDelays } from "./watch-delays.ts";

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
  readonly listen?: boolean | undefined;
  /** Between polls, ± 20 %. Default: 1000. */
  readonly pollMs?: number | undefined;
  /** Between looks whether the listening connection still answers. Default: 1000. */
  readonly heartbeatMs?: number | undefined;
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
  /** The code of the last read's failure; undefined once one was applied again, and before the first. */
  trouble(): string | undefined;
  /** Resolves once a read that was sent after this call is applied; rejects when it fails. */
  refresh(): Promise<void>;
  close(): void;
}

/**
 * Keeps what `read` applies up to date: over one listening connection on each NOTIFY, and by polls over
 * the pool, whichever works.
 */
export function watchTables(db: SqlDatabase, options: WatchTablesOptions): TableWatch {
  const { clock, random, channel, listen = true, pollMs = 1000, heartbeatMs = 1000 } = options;
  const delays = watchDelays(clock);
  let connection: WatchConnection | undefined;
  let closed = false;
  let told: WatchState["state"] | undefined;

  const tell = (): void => {
    const trouble = reads.trouble();
    if (closed || (trouble === undefined && reads.confirmedAt() === neverConfirmed)) return;
    const reachable = connection?.query() === undefined ? "polling" : "listening";
    const state = trouble === undefined ? reachable : "unreachable";
    if (state === told) return;
    told = state;
    const code = trouble ?? (state === "polling" ? connection?.lost() : undefined);
    callQuietly(() => options.onState?.({ state, code }));
  };

  const reads = watchReads({
    clock,
    delays,
    pool: db.query,
    listening: () => connection?.query(),
    read: options.read,
    onSilent: () => connection?.lose("TIMEOUT"),
    onEnd: tell,
  });

  const poll = (): void => {
    pollLater();
    reads.poll();
  };
  const pollLater = (): void => void delays.later(pollMs * (0.8 + 0.4 * random()), poll);

  pollLater();
  if (listen) {
    connection = watchConnection(db, {
      clock,
      delays,
      random,
      channel,
      heartbeatMs,
      // Whatever changed while nothing was heard.
      onOpen: () => reads.ask(),
      onNotify: () => reads.ask(),
      onLost() {
        reads.leaveListener();
        tell();
      },
      // Nothing was read yet, and the first poll is a while off.
      onFailed: () => reads.readFirst(),
    });
  } else {
    reads.readFirst();
  }

  return {
    confirmedAt: () => reads.confirmedAt(),
    trouble: () => reads.trouble(),
    refresh: () =>
      new Promise((resolve, reject) => {
        if (closed) reject(new WatchError("CLOSED", "the watch is closed"));
        else reads.ask({ resolve, reject });
      }),
    close() {
      if (closed) return;
      closed = true;
      delays.close();
      connection?.close();
      reads.close();
    },
  };
}
