import type { IncomingMessage } from "node:http";
import { hasBody, isJson } from "../body/body-headers.ts";
import { bodyReadBefore } from "./body-read-before.ts";
import { parseJson, tooLarge, wrongType, type JsonReading } from "../body/parse-json.ts";
import { takeBytes } from "./take-bytes.ts";

/**
 * A request's body as JSON, or as an earlier parser has left it. The request can still be read by another,
 * from the beginning.
 * @throws Error, as a rejection, for what is the application's own fault
 */
export async function readJson(req: IncomingMessage, limitBytes: number): Promise<JsonReading> {
  const { headers } = req;
  // A form is refused also where a parser has read it: a browser sends one across sites unasked.
  if (hasBody(headers) && !isJson(headers)) return wrongType;
  const before = bodyReadBefore(req);
  if (before !== undefined) return fromParser(before);
  if (!hasBody(headers)) return { body: undefined };
  const taken = await takeBytes(req, limitBytes);
  if (taken.kind === "gone") return "gone";
  return taken.kind === "too_large" ? tooLarge : parseJson(taken.bytes, headers, limitBytes);
}

/** Some leave text or bytes, unpacked already. */
function fromParser(read: unknown): JsonReading | Promise<JsonReading> {
  if (typeof read === "string") return parseJson(Buffer.from(read), {}, 0);
  return read instanceof Uint8Array ? parseJson(read, {}, 0) : { body: read };
}
