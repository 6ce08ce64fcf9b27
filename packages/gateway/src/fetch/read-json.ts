import type { IncomingHttpHeaders } from "node:http";
import { contentLengthOf, isJson } from "../node/body-headers.ts";
import { parseJson, tooLarge, wrongType } from "../node/parse-json.ts";
import type { JsonReading } from "../node/read-json.ts";
import { readBytes } from "./read-bytes.ts";

export interface ReadJsonOptions {
  readonly limitBytes: number;
  /** Whether somebody else is to find the request's own body unread. */
  readonly keeps: boolean;
}

/**
 * Reads a body as JSON; a copy of it where the request's own is to be kept, in memory up to the limit.
 * Rejects for what is the application's own fault, such as a body that something read away before.
 */
export async function readJson(
  request: Request,
  { limitBytes, keeps }: ReadJsonOptions,
): Promise<JsonReading> {
  if (request.body === null) return { body: undefined };
  const headers = bodyHeaders(request.headers);
  if (!isJson(headers)) return wrongType;
  if ((contentLengthOf(headers) ?? 0) > limitBytes) return tooLarge;
  const { body } = keeps ? request.clone() : request;
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readBytes(body, limitBytes);
  } catch (error) {
    if (request.signal.aborted) return "gone";
    throw error;
  }
  if (bytes !== undefined) return parseJson(bytes, headers, limitBytes);
  // A copy that nobody reads would hold whatever the request's own reader takes.
  if (keeps) forget(body);
  return tooLarge;
}

/** Lets go of what a body still holds. */
export function forget(body: ReadableStream<Uint8Array> | null): void {
  body?.cancel().catch(() => undefined);
}

function bodyHeaders(headers: Headers): IncomingHttpHeaders {
  const names = ["content-type", "content-length", "content-encoding"] as const;
  return Object.fromEntries(names.map((name) => [name, headers.get(name) ?? undefined]));
}
