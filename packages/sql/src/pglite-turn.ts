import type { Clock } from "@sluice/contract";
import type { PgliteSession } from "./pglite-session.ts";
import { encodeMessage, readAnswer, type WireAnswer } from "./pg-wire.ts";

/** A connection's turns on the session that it shares. */
export interface PgliteTurn {
  /** From the first message of a transaction to its end. */
  readonly held: boolean;
  /**
   * Takes a turn where none is held, carries the messages out, and keeps the turn while a transaction
   * is open. `onAnswer` is called before it ends.
   */
  run(messages: Uint8Array, onAnswer: (answer: WireAnswer) => void): Promise<WireAnswer>;
  /** Rolls back what is open, if a turn is held, and gives the turn back. Never rejects. */
  giveUp(): Promise<void>;
}

export interface PgliteTurnOptions {
  readonly session: PgliteSession;
  readonly clock: Clock;
  readonly applicationName: string;
  readonly transactionMs: number;
  /** The turn has lasted for `transactionMs`. */
  readonly onOverdue: () => void;
  /** Statements for when the turn ends, besides those that undo what it set. */
  readonly restore: () => string;
}

/** A statement that fails takes back what waits for its Sync, which alone would commit it. */
const failAndSync = Buffer.concat([
  encodeMessage("P", "", "fail", Buffer.alloc(2)),
  encodeMessage("S"),
]);
/**
 * What `DISCARD ALL` does, but for LISTEN, which the app needs, and for prepared statements, which have
 * names of their own. The role is named: in PGlite `default` leaves the role that was set.
 */
const cleanUp = `set session authorization postgres; set role none; reset all; close all; discard temp;
  select pg_advisory_unlock_all();`;

export function createPgliteTurn(options: PgliteTurnOptions): PgliteTurn {
  const { session, clock, applicationName, transactionMs } = options;
  let held: { readonly release: () => void; readonly stopTimer: () => void } | undefined;

  const begin = async (): Promise<void> => {
    const release = await session.take();
    const stopTimer = once(clock, transactionMs, options.onOverdue);
    held = { release, stopTimer };
    await session.query("select set_config('application_name', $1, false)", [applicationName]);
  };
  const end = async (rollBack: boolean): Promise<void> => {
    if (held === undefined) return;
    const { release, stopTimer } = held;
    held = undefined;
    stopTimer();
    try {
      if (rollBack) {
        await session.raw(failAndSync);
        await session.exec("rollback");
      }
      await session.exec(`${cleanUp} ${options.restore()}`);
    } catch {
      // Nothing is open: the database is closed, or its thread has ended.
    } finally {
      release();
    }
  };

  return {
    get held() {
      return held !== undefined;
    },
    async run(messages, onAnswer) {
      if (held === undefined) await begin();
      const answer = readAnswer(await session.raw(messages));
      onAnswer(answer);
      if (answer.status === "I") await end(false);
      return answer;
    },
    giveUp: () => end(true),
  };
}

/** Once, without keeping the process alive. */
export function once(clock: Clock, delayMs: number, callback: () => void): () => void {
  const cancel = clock.every(delayMs, () => {
    cancel();
    callback();
  });
  return cancel;
}
