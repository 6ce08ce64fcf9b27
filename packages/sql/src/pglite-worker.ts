import { parentPort, workerData } from "node:worker_threads";
import type { PGlite } from "@electric-sql/pglite";
import { parseInt8 } from "./int8.ts";
import type {
  PgliteError,
  PgliteReply,
  PgliteRequest,
  PgliteWorkerData,
} from "./pglite-messages.ts";

// The program of the thread that `pglite()` starts; nothing else imports it.
const port = parentPort;
const { folder } = workerData as PgliteWorkerData;
const opened = open();
// Each request is answered with the failure.
opened.catch(() => undefined);

let last: Promise<void> = Promise.resolve();
port?.on("message", (request: PgliteRequest) => {
  last = last.then(async () => send(await answer(request)));
});

async function open(): Promise<PGlite> {
  const { PGlite } = await import("@electric-sql/pglite");
  const database = await PGlite.create({
    ...(folder === undefined ? {} : { dataDir: folder }),
    // The same values as over `pg`: int8; date, timestamp and interval.
    parsers: { 20: parseInt8, 1082: String, 1114: String, 1186: String },
  });
  database.onNotification((channel, payload) => send({ channel, payload }));
  return database;
}

async function answer(request: PgliteRequest): Promise<PgliteReply> {
  const { id } = request;
  try {
    const database = await opened;
    if (request.ask === "query") {
      const { rows, affectedRows = 0 } = await database.query(request.text, [
        ...request.parameters,
      ]);
      return { id, rows, affected: affectedRows };
    }
    if (request.ask === "raw") {
      const bytes = await database.execProtocolRaw(request.messages);
      // A copy: with a part of memory, all of it would be handed over.
      return { id, rows: [], affected: 0, bytes: bytes.slice() };
    }
    if (request.ask === "exec") await database.exec(request.script);
    else await database.close();
    return { id, rows: [], affected: 0 };
  } catch (error) {
    return { id, error: toMessage(error) };
  }
}

function send(reply: PgliteReply): void {
  port?.postMessage(reply);
}

function toMessage(error: unknown): PgliteError {
  if (!(error instanceof Error)) return { message: String(error), fields: {} };
  const fields = Object.entries(error).filter(
    ([, value]) => typeof value === "string" || typeof value === "number",
  );
  return {
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    fields: Object.fromEntries(fields),
  };
}
