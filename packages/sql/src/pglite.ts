import { Worker } from "node:worker_threads";
import { ConfigError, parseOptions } from "@sluice/contract";
import { z } from "zod";
import type { SqlDatabase, SqlListenHandlers, SqlQuery, SqlResult } from "./database.ts";
import { lockFolder, type FolderLock } from "./folder-lock.ts";
import type { PgliteReply, PgliteRequest, PgliteWorkerData } from "./pglite-messages.ts";
import { quoteChannel } from "./quote-channel.ts";
import { runTransaction } from "./run-transaction.ts";
import { createSerialQueue } from "./serial-queue.ts";

export interface PgliteOptions {
  /** Where the rows are kept, for one process at a time; in memory when absent. */
  readonly folder?: string;
}

const optionsSchema = z.strictObject({ folder: z.string().min(1).optional() });

/**
 * PGlite, which is PostgreSQL inside this process, in a thread of its own: a long statement never holds
 * the event loop up. The thread starts at first use and does not keep the process alive. There is one
 * connection: whatever is asked during a transaction waits for its end, so a transaction that awaits
 * the database itself instead of its own `query` waits for ever. Needs `@electric-sql/pglite`.
 */
export function pglite(options: PgliteOptions = {}): SqlDatabase {
  const { folder } = parseOptions("pglite", optionsSchema, options);
  const queue = createSerialQueue();
  const heard = new Map<string, Set<SqlListenHandlers>>();
  let thread: PgliteThread | undefined;
  let closing: Promise<void> | undefined;

  const assertOpen = (): void => {
    if (closing !== undefined) throw new Error("The database is closed.");
  };
  const started = (): PgliteThread => {
    assertOpen();
    return (thread ??= startThread(folder, {
      onNotify: (channel, payload) => {
        for (const handlers of heard.get(channel) ?? []) handlers.onNotify(payload);
      },
      onEnd: (error) => {
        const all = [...heard.values()].flatMap((each) => [...each]);
        heard.clear();
        for (const handlers of all) handlers.onEnd(error);
      },
    }));
  };

  const send: SqlQuery = async <Row>(
    text: string,
    parameters: readonly unknown[] = [],
  ): Promise<SqlResult<Row>> => {
    const { rows, affected } = await started().ask({ ask: "query", text, parameters });
    return { rows: rows as readonly Row[], affected };
  };
  const query: SqlQuery = (text, parameters) => queue(() => send(text, parameters));

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
    transaction: (work) => queue(() => runTransaction(send, work)),
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
      closing ??= thread === undefined ? Promise.resolve() : thread.close();
      return closing;
    },
  };
}

type Ask = PgliteRequest extends infer Each
  ? Each extends unknown
    ? Omit<Each, "id">
    : never
  : never;
type Answer = { readonly rows: readonly unknown[]; readonly affected: number };

interface PgliteThread {
  ask(ask: Ask): Promise<Answer>;
  /** What was asked before is still answered. */
  close(): Promise<void>;
}

interface ThreadHandlers {
  readonly onNotify: (channel: string, payload: string) => void;
  readonly onEnd: (error: Error | undefined) => void;
}

function startThread(folder: string | undefined, handlers: ThreadHandlers): PgliteThread {
  const lock: FolderLock | undefined =
    folder === undefined ? undefined : lockFolder(folder, "pglite.folder");
  // `.ts` from the sources, whose types Node strips, `.js` when built.
  const file = new URL(`./pglite-worker${import.meta.url.slice(-3)}`, import.meta.url);
  const workerData: PgliteWorkerData = folder === undefined ? {} : { folder };
  const worker = new Worker(file, { workerData, execArgv: [], name: "sluice-pglite" });
  worker.unref();

  const pending = new Map<number, PromiseWithResolvers<Answer>>();
  let lastId = 0;
  let ended: Error | undefined;
  let closing = false;

  const settled = (id: number): PromiseWithResolvers<Answer> | undefined => {
    const call = pending.get(id);
    pending.delete(id);
    if (pending.size === 0) worker.unref();
    return call;
  };
  const end = (error: Error): void => {
    if (ended !== undefined) return;
    ended = error;
    lock?.release();
    for (const id of pending.keys()) settled(id)?.reject(error);
    handlers.onEnd(closing ? undefined : error);
  };
  worker.on("message", (reply: PgliteReply) => {
    if ("channel" in reply) handlers.onNotify(reply.channel, reply.payload);
    else if ("error" in reply) settled(reply.id)?.reject(toError(reply.error));
    else settled(reply.id)?.resolve(reply);
  });
  worker.on("error", (error) => {
    end(new Error("The thread of PGlite failed.", { cause: error }));
  });
  worker.on("exit", () => {
    end(new Error(closing ? "The database is closed." : "The thread of PGlite ended."));
  });

  const ask = async (asked: Ask): Promise<Answer> => {
    if (ended !== undefined) throw ended;
    const id = ++lastId;
    const call = Promise.withResolvers<Answer>();
    // Throws where a parameter cannot be cloned.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.postMessage({ id, ...asked });
    pending.set(id, call);
    worker.ref();
    return call.promise;
  };
  return {
    ask,
    async close() {
      closing = true;
      await ask({ ask: "close" }).catch(() => undefined);
      await worker.terminate();
      end(new Error("The database is closed."));
    },
  };
}

function toError({
  message,
  stack,
  fields,
}: Extract<PgliteReply, { error: unknown }>["error"]): Error {
  if (fields["code"] === "ERR_MODULE_NOT_FOUND" && message.includes("@electric-sql/pglite")) {
    return new ConfigError({
      option: "pglite",
      got: "no package @electric-sql/pglite",
      expected: "it to be installed beside @sluice/sql",
    });
  }
  const error = Object.assign(new Error(message), fields);
  if (stack !== undefined) error.stack = stack;
  return error;
}
