import { Worker } from "node:worker_threads";
import { ConfigError } from "@sluice/contract";
import { lockFolder, type FolderLock } from "./folder-lock.ts";
import type {
  PgliteAnswer,
  PgliteReply,
  PgliteRequest,
  PgliteWorkerData,
} from "./pglite-messages.ts";
import { removePgliteAddress } from "./pglite-socket-file.ts";

type Ask = PgliteRequest extends infer Each
  ? Each extends unknown
    ? Omit<Each, "id">
    : never
  : never;

/** The thread in which PGlite runs. */
export interface PgliteThread {
  ask(ask: Ask): Promise<PgliteAnswer>;
  /** What was asked before is still answered. */
  close(): Promise<void>;
}

export interface PgliteThreadHandlers {
  /** While the folder is still locked. */
  readonly beforeRelease: () => void;
  readonly onNotify: (channel: string, payload: string) => void;
  readonly onEnd: (error: Error | undefined) => void;
}

/**
 * Starts the thread, which does not keep the process alive while nothing is asked of it.
 * @throws {ConfigError} when another process has the folder.
 */
export function startPgliteThread(
  folder: string | undefined,
  handlers: PgliteThreadHandlers,
): PgliteThread {
  const lock: FolderLock | undefined =
    folder === undefined ? undefined : lockFolder(folder, "pglite.folder");
  // That of a process that was killed.
  if (folder !== undefined) removePgliteAddress(folder);
  // `.ts` from the sources, whose types Node strips, `.js` when built.
  const file = new URL(`./pglite-worker${import.meta.url.slice(-3)}`, import.meta.url);
  const workerData: PgliteWorkerData = folder === undefined ? {} : { folder };
  const worker = new Worker(file, { workerData, execArgv: [], name: "sluice-pglite" });
  worker.unref();

  const pending = new Map<number, PromiseWithResolvers<PgliteAnswer>>();
  let lastId = 0;
  let ended: Error | undefined;
  let closing = false;

  const settled = (id: number): PromiseWithResolvers<PgliteAnswer> | undefined => {
    const call = pending.get(id);
    pending.delete(id);
    if (pending.size === 0) worker.unref();
    return call;
  };
  const end = (error: Error): void => {
    if (ended !== undefined) return;
    ended = error;
    handlers.beforeRelease();
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

  const ask = async (asked: Ask): Promise<PgliteAnswer> => {
    if (ended !== undefined) throw ended;
    const id = ++lastId;
    const call = Promise.withResolvers<PgliteAnswer>();
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
