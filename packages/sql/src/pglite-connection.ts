import { createHash, timingSafeEqual } from "node:crypto";
import type { Socket } from "node:net";
import type { Clock } from "@sluice/contract";
import { createWireBatch, maxBatchBytes } from "./pg-wire-batch.ts";
import { createWireChannels } from "./pg-wire-channels.ts";
import { readStart } from "./pg-wire-startup.ts";
import { createWireStatements } from "./pg-wire-statements.ts";
import {
  createWireReader,
  encodeError,
  encodeInt32,
  encodeMessage,
  readText,
  WireError,
  type WireMessage,
} from "./pg-wire.ts";
import type { PgliteSession } from "./pglite-session.ts";
import { createPgliteTurn, once, type PgliteTurn } from "./pglite-turn.ts";

/** One client of the socket. */
export interface PgliteConnection {
  /** What it listens to. */
  readonly channels: ReadonlySet<string>;
  /** A notification of the session; told to the client where it listens. */
  notify(channel: string, payload: string): void;
  destroy(): void;
}

export interface PgliteConnectionOptions {
  readonly socket: Socket;
  readonly session: PgliteSession;
  readonly clock: Clock;
  readonly token: string;
  readonly transactionMs: number;
  /** Before the names of its prepared statements. */
  readonly prefix: string;
  /** What the server tells of itself at the beginning. */
  readonly parameters: () => Promise<ReadonlyMap<string, string>>;
  /**
   * The token was right.
   * @throws {WireError} where there are too many.
   */
  readonly onSignedIn: () => void;
  /** Statements by which the session listens to all that is listened to. */
  readonly listenAgain: () => string;
  /** Called once, with the messages that close the statements it prepared. */
  readonly onEnd: (closeStatements: readonly Buffer[]) => void;
}

const signInMs = 5000;
const lingerMs = 1000;
const maxStartBytes = 10_000;
const maxSignInBytes = 1000;
/** A client that does not read what it asked to hear is let go of. */
const maxUnreadBytes = 1024 * 1024;
const tookTooLong = (): WireError =>
  new WireError("25P03", "the transaction took too long and was rolled back");

/** Serves the client until it leaves. What fails ends its connection; nothing is thrown. */
export function servePgliteConnection(options: PgliteConnectionOptions): PgliteConnection {
  const { socket, session, clock } = options;
  const reader = createWireReader();
  const statements = createWireStatements(options.prefix);
  const batch = createWireBatch(statements);
  const channels = createWireChannels();
  let state: "first" | "password" | "open" | "ended" = "first";
  let applicationName = "";
  let turn: PgliteTurn | undefined;
  let overdue = false;
  let busy = false;
  let unread = false;

  const hasEnded = (): boolean => state === "ended";
  const fail = (error: unknown): void => {
    if (hasEnded()) return;
    state = "ended";
    const told =
      error instanceof WireError ? error : new WireError("57P01", "the database is closed");
    socket.end(encodeError("FATAL", told));
    // Closed with bytes unread, the system drops the error before the client has seen it.
    socket.resume();
    once(clock, lingerMs, () => socket.destroy());
  };
  const stopSignIn = once(clock, signInMs, () => fail(new WireError("08P01", "nobody signed in")));

  const cut = async (): Promise<void> => {
    overdue = true;
    if (unread) socket.destroy();
    // A statement that runs can't be stopped; the turn ends with it.
    if (busy) return;
    fail(tookTooLong());
    await turn?.giveUp();
  };

  const start = (message: WireMessage): void => {
    const started = readStart(message);
    if (started.kind === "cancel") return void socket.destroy();
    if (started.kind === "encryption") return void socket.write("N");
    state = "password";
    applicationName = started.parameters.get("application_name") ?? "";
    const names = started.laterOptions;
    if (names !== undefined) {
      socket.write(encodeMessage("v", encodeInt32(0, names.length), ...names));
    }
    socket.write(encodeMessage("R", encodeInt32(3)));
  };

  const signIn = async (message: WireMessage): Promise<void> => {
    if (message.type !== "p") throw new WireError("08P01", "no password was sent");
    if (!isEqual(readText(message.body).text, options.token)) {
      throw new WireError("28P01", "the password is not the token of this socket");
    }
    options.onSignedIn();
    stopSignIn();
    const parameters = await options.parameters();
    if (hasEnded()) return;
    turn = createPgliteTurn({
      session,
      clock,
      applicationName,
      transactionMs: options.transactionMs,
      onOverdue: () => void cut(),
      restore: options.listenAgain,
    });
    state = "open";
    socket.write(encodeMessage("R", encodeInt32(0)));
    for (const [name, value] of parameters) socket.write(encodeMessage("S", name, value));
    socket.write(encodeMessage("Z", Buffer.from("I")));
  };

  const serve = async (message: WireMessage, open: PgliteTurn): Promise<void> => {
    if (message.type === "X") {
      state = "ended";
      socket.end();
      return;
    }
    if (!batch.add(message)) return;
    const taken = batch.take(!open.held);
    overdue = false;
    const answer = await open.run(taken.bytes, ({ tags }) => {
      channels.follow(taken.statements, tags);
    });
    if (!hasEnded() && !socket.write(answer.bytes)) {
      unread = true;
      await written(socket);
      unread = false;
    }
    if (isOverdue() && open.held) throw tookTooLong();
  };
  const isOverdue = (): boolean => overdue;

  const next = (): WireMessage | undefined => {
    if (state === "first") return reader.next("first", maxStartBytes);
    return reader.next("typed", state === "open" ? maxBatchBytes : maxSignInBytes);
  };
  const pump = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    socket.pause();
    try {
      for (let message = next(); message !== undefined; message = next()) {
        if (state === "first") start(message);
        else if (turn === undefined) await signIn(message);
        else await serve(message, turn);
        if (hasEnded()) break;
      }
    } catch (error) {
      fail(error);
    }
    busy = false;
    socket.resume();
    if (hasEnded()) await turn?.giveUp();
    else if (isOverdue() && turn?.held === true) await cut();
  };

  socket.setNoDelay(true);
  socket.unref();
  socket.on("error", () => undefined);
  socket.on("data", (chunk) => {
    if (hasEnded()) return;
    reader.push(chunk);
    void pump();
  });
  const leave = async (): Promise<void> => {
    state = "ended";
    stopSignIn();
    if (!busy) await turn?.giveUp();
    options.onEnd(statements.closeAll());
  };
  socket.on("close", () => void leave());

  return {
    channels: channels.names,
    notify(channel, payload) {
      if (state !== "open" || !channels.names.has(channel)) return;
      socket.write(encodeMessage("A", encodeInt32(0), channel, payload));
      if (socket.writableLength > maxUnreadBytes) socket.destroy();
    },
    destroy: () => void socket.destroy(),
  };
}

/** Resolves once all is handed to the system, or the socket is gone. */
async function written(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once("drain", resolve);
  socket.once("close", () => resolve());
  await promise;
  socket.off("drain", resolve);
}

/** In the same time wherever they differ. */
function isEqual(left: string, right: string): boolean {
  const [a, b] = [left, right].map((text) => createHash("sha256").update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}
