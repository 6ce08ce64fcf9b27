import type { Clock } from "@sluice/contract";
import type { SqlDatabase, SqlListener, SqlQuery } from "./database.ts";
import { watchCode, WatchError } from "./watch-error.ts";
import type { WatchDelays } from "./watch-delays.ts";

export interface WatchConnectionOptions {
  readonly clock: Clock;
  readonly delays: WatchDelays;
  readonly random: () => number;
  readonly channel: string;
  readonly heartbeatMs: number;
  /** The channel is heard from now on; what changed before was missed. */
  readonly onOpen: () => void;
  readonly onNotify: () => void;
  /** It was there and is gone; the next one is under way. */
  readonly onLost: () => void;
  /** It could not be made; the next try is under way. */
  readonly onFailed: () => void;
}

/** A listening connection that is made again whenever it is lost. */
export interface WatchConnection {
  /** On the connection itself; undefined while there is none. */
  query(): SqlQuery | undefined;
  /** The code of what ended the last one, or kept it from being made. */
  lost(): string | undefined;
  /** Drops the connection that there is. */
  lose(code: string): void;
  close(): void;
}

interface Beat {
  readonly pid: unknown;
  readonly heard: unknown;
}

const answerDeadlineMs = 1000;
const connectDeadlineMs = 5000;
const firstReconnectMs = 100;
const longestReconnectMs = 2000;
/** A pooler stays one; it is looked at again in case the connection string leads elsewhere now. */
const pooledReconnectMs = 60_000;

const heartbeat = `SELECT pg_backend_pid() AS pid,
  EXISTS (SELECT FROM pg_listening_channels() AS c WHERE c = $1) AS heard`;

/** Connects at once, looks at each heartbeat whether the connection still answers, and reconnects with jitter. */
export function watchConnection(
  db: Pick<SqlDatabase, "kind" | "listen" | "query">,
  options: WatchConnectionOptions,
): WatchConnection {
  const { clock, delays, random, channel } = options;
  let closed = false;
  let listener: SqlListener | undefined;
  let connecting: object | undefined;
  let reconnects = 0;
  let lost: string | undefined;
  let beating: SqlListener | undefined;
  let backend: unknown;
  let comparing = false;

  const connect = (): void => {
    const attempt = {};
    let mine: SqlListener | undefined;
    let ended = false;
    connecting = attempt;
    const stopDeadline = delays.later(connectDeadlineMs, () =>
      failed(new WatchError("TIMEOUT", "no connection")),
    );
    const failed = (error: unknown): void => {
      if (connecting !== attempt) return;
      connecting = undefined;
      stopDeadline();
      lost = watchCode(error);
      reconnect(lost);
      options.onFailed();
    };
    const isMine = (): boolean => mine !== undefined && mine === listener;
    const open = async (): Promise<void> => {
      const opened = await db.listen(channel, {
        onNotify() {
          if (isMine()) options.onNotify();
        },
        onEnd(error) {
          ended = true;
          if (isMine()) lose(watchCode(error));
        },
      });
      if (closed || connecting !== attempt) return opened.close();
      if (ended) return failed(undefined);
      connecting = undefined;
      stopDeadline();
      mine = opened;
      listener = opened;
      backend = undefined;
      options.onOpen();
      void beat();
    };
    open().catch(failed);
  };

  const reconnect = (code: string): void => {
    if (closed) return;
    const backoffMs = Math.min(longestReconnectMs, firstReconnectMs * 2 ** Math.min(reconnects, 5));
    reconnects += 1;
    const delayMs = code === "NOT_LISTENING" ? pooledReconnectMs : backoffMs;
    delays.later(delayMs * (0.5 + random()), connect);
  };

  const lose = (code: string): void => {
    const gone = listener;
    if (gone === undefined) return;
    listener = undefined;
    lost = code;
    gone.close();
    reconnect(code);
    options.onLost();
  };

  /** A connection whose packets vanish gives no error at all, so it has to answer now and then. */
  const beat = async (): Promise<void> => {
    const asked = listener;
    if (asked === undefined || beating === asked) return;
    beating = asked;
    const stopDeadline = delays.later(answerDeadlineMs, () => {
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
      else void compare(asked, backend);
    } catch (error) {
      if (asked === listener) lose(watchCode(error));
    } finally {
      stopDeadline();
      if (beating === asked) beating = undefined;
    }
  };

  /**
   * While nobody else is at work, a pooler hands each statement to the same connection, those of our own
   * pool too. PGlite has one backend, and is heard all the same.
   */
  const compare = async (asked: SqlListener, pid: unknown): Promise<void> => {
    if (comparing || db.kind !== "postgres") return;
    comparing = true;
    try {
      const { rows } = await db.query<{ other: unknown }>("SELECT pg_backend_pid() AS other");
      if (rows[0]?.other === pid && asked === listener) lose("NOT_LISTENING");
    } catch {
      // The pool's troubles are told by its polls.
    } finally {
      comparing = false;
    }
  };

  const stopBeats = clock.every(options.heartbeatMs, () => void beat());
  connect();

  return {
    query: () => listener?.query,
    lost: () => lost,
    lose,
    close() {
      closed = true;
      stopBeats();
      connecting = undefined;
      listener?.close();
      listener = undefined;
    },
  };
}
