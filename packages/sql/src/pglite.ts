import { ConfigError, parseOptions } from "@sluice/contract";
import { z } from "zod";
import type { SqlDatabase, SqlListenHandlers, SqlQuery, SqlResult } from "./database.ts";
import {
  openPgliteSocket,
  pgliteSocketSchema,
  type PgliteSocket,
  type PgliteSocketOptions,
} from "./pglite-socket.ts";
import { startPgliteThread, type PgliteThread } from "./pglite-thread.ts";
import type { PgliteSession } from "./pglite-session.ts";
import { quoteChannel } from "./quote-channel.ts";
import { runTransaction } from "./run-transaction.ts";
import { createSerialQueue } from "./serial-queue.ts";

export interface PgliteOptions {
  /** Where the rows are kept, for one process at a time; in memory when absent. */
  readonly folder?: string;
  /**
   * Lets other processes of this machine in, `sluice --folder` and psql say, while this one has the
   * folder. Address and token stand in the folder's `sluice-socket`, which its owner alone may read.
   */
  readonly socket?: PgliteSocketOptions;
}

const optionsSchema = z.strictObject({
  folder: z.string().min(1).optional(),
  socket: pgliteSocketSchema.optional(),
});

/**
 * PGlite, which is PostgreSQL inside this process, in a thread of its own: a long statement never holds
 * the event loop up. The thread starts at first use and does not keep the process alive. There is one
 * connection: whatever is asked during a transaction waits for its end, so a transaction that awaits
 * the database itself instead of its own `query` waits for ever. Needs `@electric-sql/pglite`.
 */
export function pglite(options: PgliteOptions = {}): SqlDatabase {
  const { folder, socket: socketOptions } = parseOptions("pglite", optionsSchema, options);
  if (folder === undefined && socketOptions !== undefined) {
    throw new ConfigError({
      option: "pglite.folder",
      got: "nothing",
      expected: "a path, for a socket",
    });
  }
  const queue = createSerialQueue();
  const heard = new Map<string, Set<SqlListenHandlers>>();
  let thread: PgliteThread | undefined;
  let socket: PgliteSocket | undefined;
  let closing: Promise<void> | undefined;

  const assertOpen = (): void => {
    if (closing !== undefined) throw new Error("The database is closed.");
  };
  const started = (): PgliteThread => {
    assertOpen();
    if (thread !== undefined) return thread;
    thread = startPgliteThread(folder, {
      onNotify: (channel, payload) => {
        for (const handlers of heard.get(channel) ?? []) handlers.onNotify(payload);
        socket?.notify(channel, payload);
      },
      beforeRelease: () => socket?.close(),
      onEnd: (error) => {
        const all = [...heard.values()].flatMap((each) => [...each]);
        heard.clear();
        for (const handlers of all) handlers.onEnd(error);
      },
    });
    if (folder !== undefined && socketOptions !== undefined) {
      socket = openPgliteSocket({
        ...socketOptions,
        folder,
        session,
        channels: () => heard.keys(),
      });
    }
    return thread;
  };

  const send: SqlQuery = async <Row>(
    text: string,
    parameters: readonly unknown[] = [],
  ): Promise<SqlResult<Row>> => {
    const { rows, affected } = await started().ask({ ask: "query", text, parameters });
    return { rows: rows as readonly Row[], affected };
  };
  const query: SqlQuery = (text, parameters) => queue(() => send(text, parameters));
  const session: PgliteSession = {
    take() {
      const begun = Promise.withResolvers<() => void>();
      const turn = Promise.withResolvers<void>();
      void queue(() => {
        begun.resolve(turn.resolve);
        return turn.promise;
      });
      return begun.promise;
    },
    query: send,
    async exec(script) {
      await started().ask({ ask: "exec", script });
    },
    async raw(messages) {
      const { bytes = new Uint8Array() } = await started().ask({ ask: "raw", messages });
      return bytes;
    },
  };

  return {
    kind: "pglite",
    query,
    exec: (script) =>
      queue(async () => {
        try {
          await started().ask({ ask: "exec", script });
        } finally {
          // No transaction that it began stays open; where there is none, this does nothing.
          await send("rollback").catch(() => undefined);
        }
      }),
    transaction: (work, transactionOptions) =>
      queue(() => runTransaction(send, work, transactionOptions)),
    async listen(channel, handlers) {
      const identifier = quoteChannel(channel);
      await query(`listen ${identifier}`);
      assertOpen();
      const all = heard.get(channel) ?? new Set();
      heard.set(channel, all.add(handlers));
      return {
        query: async (text, parameters) => {
          if (!all.has(handlers)) throw new Error("The listener is closed.");
          return query(text, parameters);
        },
        // The channel is not given up: another may listen to it at this moment.
        close: () => void all.delete(handlers),
      };
    },
    close() {
      socket?.close();
      closing ??= thread === undefined ? Promise.resolve() : thread.close();
      return closing;
    },
  };
}
