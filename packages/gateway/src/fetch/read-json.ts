import type { IncomingHttpHeaders } from "node:http";
import type { Problem } from "@sluice/guard";
import { contentLengthOf, isJson } from "../body/body-headers.ts";
import {
  parseJson,
  tooLarge,
  wrongType,
  type JsonReading,
  type ParsedJson,
} from "../body/parse-json.ts";
import { readBytes } from "./read-bytes.ts";

interface TakeJsonOptions {
  readonly limitBytes: number;
  /** Whether somebody else is to find the request's own body unread. */
  readonly keeps: boolean;
}

/** A body that is to be JSON, not parsed yet. */
export type UnparsedJson =
  | { readonly parse: () => Promise<ParsedJson> }
  | { readonly problem: Problem }
  /** The client went away while sending. */
  | "gone";

/** Reads a body as JSON. Rejects as {@link takeJson} does. */
export async function readJson(request: Request, options: TakeJsonOptions): Promise<JsonReading> {
  const taken = await takeJson(request, options);
  return taken !== "gone" && "parse" in taken ? taken.parse() : taken;
}

/**
 * Reads the bytes of a body; those of a copy where the request's own is to be kept, in memory up to the limit.
 * Rejects for what is the application's own fault, such as a body that something read away before.
 */
export async function takeJson(
  request: Request,
  { limitBytes, keeps }: TakeJsonOptions,
): Promise<UnparsedJson> {
  if (request.body === null) return { parse: async () => ({ body: undefined }) };
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
  if (bytes !== undefined) {
    const taken = bytes;
    return { parse: () => parseJson(taken, headers, limitBytes) };
  }
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
