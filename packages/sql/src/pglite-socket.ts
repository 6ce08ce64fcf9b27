import { createServer, type Socket } from "node:net";
import type { Clock } from "@sluice/contract";
import { z } from "zod";
import { callQuietly } from "./call-quietly.ts";
import { errorCode } from "./error-code.ts";
import { channelScript } from "./pg-wire-channels.ts";
import { encodeMessage, WireError } from "./pg-wire.ts";
import { servePgliteConnection, type PgliteConnection } from "./pglite-connection.ts";
import type { PgliteSession } from "./pglite-session.ts";
import { removePgliteAddress, writePgliteAddress } from "./pglite-socket-file.ts";

/** A way into the database of a running app for the command line, psql and any client of PostgreSQL. */
export interface PgliteSocketOptions {
  readonly clock: Clock;
  /** As `randomBytes` of `node:crypto`: for the token, which has to be unpredictable. */
  readonly randomBytes: (size: number) => Uint8Array;
  /** On 127.0.0.1; a free one when absent. */
  readonly port?: number;
  /** So long a client's transaction may keep the app waiting; then it is rolled back. Default: 10 000. */
  readonly transactionMs?: number;
  /**
   * The socket can't be had, by the system's code (`EADDRINUSE`); the database goes on without it. What
   * it throws is ignored.
   */
  readonly onProblem?: (problem: { readonly code: string }) => void;
}

const clockMethods = ["monotonicMs", "wallMs", "after", "every"] as const;
const isFunction = (value: unknown): boolean => typeof value === "function";

export const pgliteSocketSchema = z.strictObject({
  clock: z.custom<Clock>(
    (value) =>
      typeof value === "object" &&
      value !== null &&
      clockMethods.every((name) => isFunction((value as Partial<Clock>)[name])),
    { error: "a clock" },
  ),
  randomBytes: z.custom<(size: number) => Uint8Array>(isFunction, { error: "a function" }),
  port: z.int().min(1).max(65_535).optional(),
  transactionMs: z.int().min(1).max(2_147_000_000).default(10_000),
  onProblem: z
    .custom<(problem: { readonly code: string }) => void>(isFunction, { error: "a function" })
    .optional(),
});

export interface PgliteSocket {
  /** To the clients that listen. */
  notify(channel: string, payload: string): void;
  /** Ends every connection. */
  close(): void;
}

export interface OpenPgliteSocketOptions extends z.output<typeof pgliteSocketSchema> {
  readonly folder: string;
  readonly session: PgliteSession;
  /** What the app itself listens to. */
  readonly channels: () => Iterable<string>;
}

const host = "127.0.0.1";
const maxConnections = 8;
/** Of those that have not signed in yet; the oldest makes room. */
const maxStrangers = 32;

/** Listens on a port of this machine and writes address and token into the folder. Never throws. */
export function openPgliteSocket(options: OpenPgliteSocketOptions): PgliteSocket {
  const { folder, session, clock, transactionMs } = options;
  const token = Buffer.from(options.randomBytes(32)).toString("base64url");
  const strangers = new Set<PgliteConnection>();
  const signedIn = new Set<PgliteConnection>();
  let parameters: Promise<ReadonlyMap<string, string>> | undefined;
  let accepted = 0;
  let closed = false;

  const problem = (error: unknown): void => {
    server.close();
    callQuietly(() => options.onProblem?.({ code: errorCode(error) ?? "UNKNOWN" }));
  };
  const listened = (): Set<string> =>
    new Set([...options.channels(), ...[...signedIn].flatMap(({ channels }) => [...channels])]);

  const accept = (socket: Socket): void => {
    const [oldest] = strangers;
    if (strangers.size >= maxStrangers) oldest?.destroy();
    accepted += 1;
    const connection = servePgliteConnection({
      socket,
      session,
      clock,
      token,
      transactionMs,
      prefix: `sluice_${accepted}_`,
      parameters: () => (parameters ??= readParameters(session)),
      onSignedIn() {
        if (signedIn.size >= maxConnections) throw new WireError("53300", "too many connections");
        strangers.delete(connection);
        signedIn.add(connection);
      },
      listenAgain: () => channelScript("listen", listened()),
      onEnd(closeStatements) {
        strangers.delete(connection);
        if (!signedIn.delete(connection) || closed) return;
        void forget(connection, closeStatements);
      },
    });
    strangers.add(connection);
  };

  /** What a connection leaves in the session beyond its turns. */
  const forget = async (
    { channels }: PgliteConnection,
    closeStatements: readonly Buffer[],
  ): Promise<void> => {
    const release = await session.take();
    try {
      await session.raw(Buffer.concat([...closeStatements, encodeMessage("S")]));
      if (signedIn.size === 0) await session.exec("deallocate all");
      const others = listened();
      const own = [...channels].filter((channel) => !others.has(channel));
      if (own.length > 0) await session.exec(channelScript("unlisten", own));
    } catch {
      // The database is closed.
    } finally {
      release();
    }
  };

  const server = createServer(accept);
  server.unref();
  server.on("error", problem);
  server.listen({ host, port: options.port ?? 0 }, () => {
    const address = server.address();
    if (closed || address === null || typeof address === "string") return;
    try {
      writePgliteAddress(folder, { host, port: address.port, token });
    } catch (error) {
      problem(error);
    }
  });

  return {
    notify(channel, payload) {
      for (const connection of signedIn) connection.notify(channel, payload);
    },
    close() {
      if (closed) return;
      closed = true;
      server.close();
      for (const connection of [...strangers, ...signedIn]) connection.destroy();
      callQuietly(() => removePgliteAddress(folder));
    },
  };
}

/** What clients want to know of a server before their first statement. */
const told = [
  "server_version",
  "server_encoding",
  "client_encoding",
  "DateStyle",
  "IntervalStyle",
  "TimeZone",
  "integer_datetimes",
  "standard_conforming_strings",
  "is_superuser",
  "session_authorization",
] as const;

async function readParameters(session: PgliteSession): Promise<ReadonlyMap<string, string>> {
  const release = await session.take();
  try {
    const { rows } = await session.query<{ name: string; value: string }>(
      "select name, current_setting(name) as value from unnest($1::text[]) as name",
      [[...told]],
    );
    return new Map(rows.map(({ name, value }) => [name, value]));
  } finally {
    release();
  }
}
