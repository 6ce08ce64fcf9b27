import { types } from "pg";
import { parseInt8 } from "./int8.ts";

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

/** Answers as `postgres` promises them, for the `types` of a client. */
export function getTypeParser(oid: Oid, format?: "text" | "binary"): Parser {
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
