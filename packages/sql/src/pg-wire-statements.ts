import { encodeMessage, readText, WireError, type WireMessage } from "./pg-wire.ts";

/** The prepared statements of one connection, apart from those of the others on the same session. */
export interface WireStatements {
  /** The message with the name that the statement has in the session. */
  rename(message: WireMessage): Buffer;
  /** Whether the message needs the unnamed statement, or makes it. */
  unnamed(message: WireMessage): "needs" | "makes" | undefined;
  /** Messages that close all that were named. */
  closeAll(): readonly Buffer[];
}

const maxStatements = 256;

export function createWireStatements(prefix: string): WireStatements {
  const named = new Set<string>();
  const own = (name: string): string => (name === "" ? "" : `${prefix}${name}`);
  return {
    rename(message) {
      const at = findName(message);
      if (at === undefined || at.name === "") return message.bytes;
      if (message.type === "P") named.add(at.name);
      if (message.type === "C") named.delete(at.name);
      if (named.size > maxStatements) {
        throw new WireError("53400", `more than ${maxStatements} prepared statements`);
      }
      const { body } = message;
      return encodeMessage(
        message.type,
        body.subarray(0, at.start),
        own(at.name),
        body.subarray(at.end),
      );
    },
    unnamed(message) {
      if (message.type === "C" || findName(message)?.name !== "") return undefined;
      return message.type === "P" ? "makes" : "needs";
    },
    closeAll: () => [...named].map((name) => encodeMessage("C", Buffer.from("S"), own(name))),
  };
}

/** Where a message of the extended protocol names a statement. */
function findName({
  type,
  body,
}: WireMessage):
  | { readonly name: string; readonly start: number; readonly end: number }
  | undefined {
  let start = 0;
  if (type === "B") start = readText(body).end;
  else if (type === "D" || type === "C") {
    if (body.toString("latin1", 0, 1) !== "S") return undefined;
    start = 1;
  } else if (type !== "P") return undefined;
  const { text, end } = readText(body, start);
  return { name: text, start, end };
}
