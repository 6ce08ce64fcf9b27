import type { WireStatements } from "./pg-wire-statements.ts";
import { encodeMessage, WireError, type WireMessage } from "./pg-wire.ts";

/** A client's messages until it wants an answer. */
export interface WireBatch {
  /**
   * Whether an answer is wanted now.
   * @throws {WireError} at a message that is none, is not supported, or makes the batch too large.
   */
  add(message: WireMessage): boolean;
  /**
   * Hands out what came, for PGlite, and begins anew. `alone`: since the last batch others have used
   * the session, so its unnamed statement is gone.
   */
  take(alone: boolean): { readonly bytes: Buffer; readonly statements: string };
}

/** Of one message, and of a batch: 16 MiB. */
export const maxBatchBytes = 16 * 1024 * 1024;

/**
 * Comes after each statement: where COPY waits for data that is not there, PGlite ends its process.
 * Where no COPY waits, PostgreSQL ignores it.
 */
const copyFail = encodeMessage("f", "COPY FROM STDIN is not supported here");
const collected = new Set(["P", "B", "D", "C", "E"]);
const answered = new Set(["Q", "S", "H"]);
/** Data of a COPY that was refused. */
const copied = new Set(["d", "c", "f"]);

export function createWireBatch(statements: WireStatements): WireBatch {
  let messages: WireMessage[] = [];
  let size = 0;
  return {
    add(message) {
      if (copied.has(message.type)) return false;
      if (!collected.has(message.type) && !answered.has(message.type)) {
        throw new WireError("08P01", "a message that is unknown, or not supported");
      }
      if (message.type === "Q" && messages.length > 0) {
        throw new WireError("08P01", "a simple query before a Sync");
      }
      messages.push(message);
      size += message.bytes.length;
      if (size > maxBatchBytes) throw new WireError("54000", "too many bytes before a Sync");
      return answered.has(message.type);
    },
    take(alone) {
      const taken = messages;
      messages = [];
      size = 0;
      if (alone) assertUnnamedIsOwn(taken, statements);
      const bytes = taken.flatMap((message) =>
        message.type === "E" || message.type === "Q"
          ? [message.bytes, copyFail]
          : [statements.rename(message)],
      );
      const texts = taken.filter(({ type }) => type === "Q" || type === "P");
      return {
        bytes: Buffer.concat(bytes),
        statements: texts.map(({ body }) => body.toString("utf8")).join("\n"),
      };
    },
  };
}

function assertUnnamedIsOwn(messages: readonly WireMessage[], statements: WireStatements): void {
  for (const message of messages) {
    const use = statements.unnamed(message);
    if (use === "makes") return;
    if (use === "needs") {
      throw new WireError("26000", "an unnamed statement lasts until Sync here: give it a name");
    }
  }
}
