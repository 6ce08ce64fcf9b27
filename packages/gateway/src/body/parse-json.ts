import type { IncomingHttpHeaders } from "node:http";
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate } from "node:zlib";
import type { Problem } from "@sluice/guard";
import { charsetOf } from "./body-headers.ts";

export type ParsedJson = { readonly body: unknown } | { readonly problem: Problem };

export type JsonReading =
  | ParsedJson
  /** The client went away while sending. */
  | "gone";

type Unpack = (
  packed: Uint8Array,
  options: { readonly maxOutputLength: number },
) => Promise<Buffer>;

const unpackers: ReadonlyMap<string, Unpack> = new Map<string, Unpack>([
  ["gzip", promisify(gunzip)],
  ["deflate", promisify(inflate)],
  ["br", promisify(brotliDecompress)],
]);

/** Parses the bytes of a body by its headers, which may say that they are packed. */
export async function parseJson(
  bytes: Uint8Array,
  headers: IncomingHttpHeaders,
  limitBytes: number,
): Promise<ParsedJson> {
  const encoding = (headers["content-encoding"] ?? "").trim().toLowerCase() || "identity";
  if (encoding === "identity") return parseText(bytes, charsetOf(headers));
  const unpack = unpackers.get(encoding);
  if (unpack === undefined) return refused(415, wrongEncoding);
  try {
    const unpacked = await unpack(bytes, { maxOutputLength: limitBytes });
    return parseText(unpacked, charsetOf(headers));
  } catch (error) {
    const isOver = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    return isOver ? tooLarge : notJson;
  }
}

function parseText(bytes: Uint8Array, charset: string): ParsedJson {
  // JSON between systems is UTF-8; the rest of the family is read as well. Source: RFC 8259, section 8.1
  if (!/^utf-(?:8|16(?:le|be)?)$/.test(charset)) return refused(415, wrongEncoding);
  try {
    return { body: JSON.parse(new TextDecoder(charset).decode(bytes)) as unknown };
  } catch {
    return notJson;
  }
}

const wrongEncoding = "The request body's encoding is not supported";

function refused(status: number, title: string): { readonly problem: Problem } {
  return { problem: { type: "about:blank", title, status } };
}

const notJson = refused(400, "The request body is not JSON");
export const tooLarge = refused(413, "The request body is too large");
export const wrongType = refused(415, "The request body must be application/json");
