import type { Socket } from "node:net";
import { ConfigError, parseOptions } from "@sluice/contract";
import { Client, DatabaseError, Pool, type ClientConfig } from "pg";
import { z } from "zod";
import type {
  SqlDatabase,
  SqlListenHandlers,
  SqlListener,
  SqlQuery,
  SqlResult,
} from "./database.ts";
import { withTimeoutCode } from "./pg-timeout.ts";
import { getTypeParser } from "./pg-type-parsers.ts";
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

/** What a timer of the runtime can do; some 25 days. */
const MAX_TIMEOUT_MS = 2_147_000_000;
const timeoutMs = z.int().min(1).max(MAX_TIMEOUT_MS);

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
 * otherwise a bigint. A timeout of ours has the code `ETIMEDOUT`. What is idle, a listener too, does not keep the process alive.
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

  /** A pooler that knows no such setting refuses the connection; then our own limit counts alone. */
  const unlessRefused = async <Made>(connect: () => Promise<Made>): Promise<Made> => {
    try {
      return await connect();
    } catch (error) {
      if (!refusesTimeout(error)) throw withTimeoutCode(error);
      config.statement_timeout = false;
      pool.options.statement_timeout = false;
      return await connect().catch((again: unknown) => {
        throw withTimeoutCode(again);
      });
    }
  };

  const onClient = async <Result>(
    work: (client: Connection) => Promise<Result>,
  ): Promise<Result> => {
    assertOpen(closing);
    const client = await unlessRefused(() => pool.connect());
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
    transaction: (work, transactionOptions) =>
      onClient((client) => {
        const { query, patientQuery } = client;
        const send = transactionOptions?.unhurried === true ? patientQuery : query;
        return runTransaction(send, work, transactionOptions);
      }),
    listen: async (channel, handlers) => {
      assertOpen(closing);
      return unlessRefused(() => openListener(config, channel, handlers, listeners));
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
  /** Waits for the answer, however long. */
  readonly patientQuery: SqlQuery;
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
      throw withTimeoutCode(error);
    }
  };
  const queryWith =
    (limits: { readonly query_timeout?: number }): SqlQuery =>
    async <Row>(text: string, parameters: readonly unknown[] = []): Promise<SqlResult<Row>> => {
      // Extended, so that one statement is one statement also without parameters.
      const asked = { text, values: [...parameters], queryMode: "extended", ...limits };
      const { rows, command, rowCount } = await run(() => client.query(asked));
      return { rows: rows as Row[], affected: WRITES.has(command) ? (rowCount ?? 0) : 0 };
    };
  return {
    query: queryWith({}),
    patientQuery: queryWith({ query_timeout: MAX_TIMEOUT_MS }),
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

/** As PgBouncer tells it: `unsupported startup parameter: statement_timeout`. */
function refusesTimeout(error: unknown): boolean {
  return error instanceof DatabaseError && /parameter.*statement_timeout/.test(error.message);
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
