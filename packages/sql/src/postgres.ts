import type { Socket } from "node:net";
import { ConfigError, parseOptions } from "@sluice/contract";
import { Client, DatabaseError, Pool, types, type ClientConfig } from "pg";
import { z } from "zod";
import type {
  SqlDatabase,
  SqlListenHandlers,
  SqlListener,
  SqlQuery,
  SqlResult,
} from "./database.ts";
import { parseInt8 } from "./int8.ts";
import { quoteChannel } from "./quote-channel.ts";
import { runTransaction } from "./run-transaction.ts";
import { createSerialQueue } from "./serial-queue.ts";

export interface PostgresOptions {
  /** `postgresql://user:password@host:port/database`; otherwise libpq's variables (`PGHOST`, …) count. */
  readonly connectionString?: string;
  /** Connections besides those that listen; 4. */
  readonly poolSize?: number;
  /** For a connection to be made, or for one of the pool to be free; 1000. */
  readonly connectTimeoutMs?: number;
  /** The server gives a statement up after this time; 5000. A server that is silent, 500 ms later. */
  readonly statementTimeoutMs?: number;
  /** As the server's `pg_stat_activity` shows it; `sluice`. */
  readonly applicationName?: string;
}

const timeoutMs = z.int().min(1).max(2_147_000_000);

const optionsSchema = z.strictObject({
  connectionString: z.string().min(1).optional(),
  poolSize: z.int().min(1).max(1000).default(4),
  connectTimeoutMs: timeoutMs.default(1000),
  statementTimeoutMs: timeoutMs.default(5000),
  applicationName: z.string().min(1).default("sluice"),
});

/** More than the server's own limit, so that its answer, which keeps the connection, comes first. */
const SILENCE_MS = 500;

/**
 * PostgreSQL over `pg`. Connects at first use; a connection that broke is replaced at the next call.
 * `date`, `timestamp`, `interval` and `numeric` are text, `int8` a number where that is exact and
 * otherwise a bigint. What is idle, a listener too, does not keep the process alive.
 */
export function postgres(options: PostgresOptions = {}): SqlDatabase {
  const parsed = parseOptions("postgres", optionsSchema, options);
  const config: ClientConfig = {
    ...(parsed.connectionString === undefined ? {} : { connectionString: parsed.connectionString }),
    application_name: parsed.applicationName,
    connectionTimeoutMillis: parsed.connectTimeoutMs,
    statement_timeout: parsed.statementTimeoutMs,
    query_timeout: parsed.statementTimeoutMs + SILENCE_MS,
    keepAlive: true,
    types: { getTypeParser },
  };
  assertReadable(config);

  const pool = new Pool({ ...config, max: parsed.poolSize, allowExitOnIdle: true });
  const clients = new Set<Client>();
  const listeners = new Set<() => void>();
  let closing = false;
  // An idle connection that ends is an 'error' of the pool, one in use an error of its client. The call
  // that needs it is told by its own rejection.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => {
    client.on("error", () => undefined);
    clients.add(client);
  });
  pool.on("remove", (client) => void clients.delete(client));

  const onClient = async <Result>(
    work: (client: Connection) => Promise<Result>,
  ): Promise<Result> => {
    assertOpen(closing);
    const client = await pool.connect();
    const connection = toConnection(client);
    try {
      assertOpen(closing);
      return await work(connection);
    } finally {
      // Also one that was left inside a transaction.
      const broken = closing || connection.broken || client.getTransactionStatus() !== "I";
      if (broken) socketOf(client).destroy();
      client.release(broken);
    }
  };

  return {
    kind: "postgres",
    query: (text, parameters) => onClient((client) => client.query(text, parameters)),
    exec: (script) => onClient((client) => client.exec(script)),
    transaction: (work) => onClient((client) => runTransaction(client.query, work)),
    listen: async (channel, handlers) => {
      assertOpen(closing);
      return openListener(config, channel, handlers, listeners);
    },
    async close() {
      if (closing) return;
      closing = true;
      for (const end of listeners) end();
      for (const client of clients) socketOf(client).destroy();
      // Waits for work that may wait for anything; what is still to connect ends by its timeout.
      pool.end().catch(() => undefined);
    },
  };
}

interface Connection {
  readonly query: SqlQuery;
  exec(script: string): Promise<void>;
  /** No answer can be relied on any more. */
  readonly broken: boolean;
}

function toConnection(client: Client): Connection {
  let broken = false;
  const run = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
    if (broken) throw new Error("The connection is broken.");
    try {
      return await ask();
    } catch (error) {
      broken = !isAnswer(error);
      throw error;
    }
  };
  return {
    query: async <Row>(
      text: string,
      parameters: readonly unknown[] = [],
    ): Promise<SqlResult<Row>> => {
      // Extended, so that one statement is one statement also without parameters.
      const asked = { text, values: [...parameters], queryMode: "extended" };
      const { rows, command, rowCount } = await run(() => client.query(asked));
      return { rows: rows as Row[], affected: WRITES.has(command) ? (rowCount ?? 0) : 0 };
    },
    exec: async (script) => {
      try {
        await run(() => client.query(script));
      } catch (error) {
        // Its error comes before the connection knows whether it is left inside a transaction.
        await run(() => client.query("rollback")).catch(() => undefined);
        throw error;
      }
    },
    get broken() {
      return broken;
    },
  };
}

const WRITES: ReadonlySet<string> = new Set(["INSERT", "UPDATE", "DELETE", "MERGE", "COPY"]);

/** An error that the server told, on a connection that it goes on with. */
function isAnswer(error: unknown): boolean {
  return error instanceof DatabaseError && error.severity !== "FATAL" && error.severity !== "PANIC";
}

async function openListener(
  config: ClientConfig,
  channel: string,
  handlers: SqlListenHandlers,
  listeners: Set<() => void>,
): Promise<SqlListener> {
  const identifier = quoteChannel(channel);
  const client = new Client(config);
  const connection = toConnection(client);
  const queue = createSerialQueue();
  let state: "opening" | "open" | "closed" = "opening";

  const close = (): void => {
    state = "closed";
    listeners.delete(end);
    // Without the goodbye of `client.end()`, which waits where the other side is gone.
    socketOf(client).destroy();
  };
  const end = (error?: Error): void => {
    if (state === "closed") return;
    const told = state === "open";
    close();
    if (told) handlers.onEnd(error);
  };
  listeners.add(end);
  client.on("error", end);
  client.on("end", () => end());
  client.on("notification", (heard) => {
    if (state !== "closed" && heard.channel === channel) handlers.onNotify(heard.payload ?? "");
  });

  let asked = 0;
  const query: SqlQuery = async (text, parameters) => {
    if (isClosed()) throw new Error("The listener is closed.");
    if (asked++ === 0) socketOf(client).ref();
    try {
      return await queue(() => connection.query(text, parameters));
    } catch (error) {
      if (connection.broken) end(error instanceof Error ? error : undefined);
      throw error;
    } finally {
      if (--asked === 0) socketOf(client).unref();
    }
  };

  try {
    await client.connect();
    await query(`listen ${identifier}`);
    // It may have ended meanwhile.
    if (isClosed()) throw new Error("The connection ended.");
  } catch (error) {
    close();
    throw error;
  }
  state = "open";
  return { query, close };

  function isClosed(): boolean {
    return state === "closed";
  }
}

function socketOf(client: Client): Socket {
  return client.connection.stream as Socket;
}

function assertOpen(closing: boolean): void {
  if (closing) throw new Error("The database is closed.");
}

/** `pg` reads the connection string per connection, and its error holds the string with the password. */
function assertReadable(config: ClientConfig): void {
  try {
    void new Client(config);
  } catch {
    throw new ConfigError({
      option: "postgres.connectionString",
      got: "a string (not shown)",
      expected: "a URL, postgresql://user:password@host:port/database",
    });
  }
}

type Parser = (text: string) => unknown;
type Oid = Parameters<typeof types.getTypeParser>[0];

const INT8_ARRAY = 1016;

/** Instead of `pg`'s own parsers, which know int8 as text and shift days into the local time zone. */
const OWN_PARSERS: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  [types.builtins.INT8, parseInt8],
  [types.builtins.DATE, String],
  [types.builtins.TIMESTAMP, String],
  [types.builtins.INTERVAL, String],
]);

function getTypeParser(oid: Oid, format?: "text" | "binary"): Parser {
  const parse = types.getTypeParser(oid, format) as Parser;
  if (format === "binary") return parse;
  const id: number = oid;
  if (id === INT8_ARRAY) return (text) => toInt8(parse(text));
  return OWN_PARSERS.get(id) ?? parse;
}

function toInt8(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toInt8);
  return typeof value === "string" ? parseInt8(value) : value;
}
