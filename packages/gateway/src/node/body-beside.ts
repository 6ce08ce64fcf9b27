import type { IncomingMessage } from "node:http";
import type { SkipCause } from "../shadow.ts";
import { contentLengthOf, hasBody, isJson } from "./body-headers.ts";
import { bodyReadBefore } from "./body-read-before.ts";
import { copyBody, type BodyCopy } from "./copy-body.ts";
import { parseJson } from "./parse-json.ts";
import { snapshotOf } from "./snapshot.ts";

export type BesideReading = { readonly body: unknown } | { readonly skipped: SkipCause };

/** A body that somebody else reads, or has read. */
export interface BodyBeside {
  /** Never rejects. */
  readonly reading: Promise<BesideReading>;
  /** It will not be read any more. */
  readonly stop: () => void;
}

/** Takes a copy of a request's body, up to a limit, and nothing of the request. */
export function bodyBeside(req: IncomingMessage, limitBytes: number): BodyBeside {
  const { headers } = req;
  if (hasBody(headers) && !isJson(headers)) return skipped("invalid");
  const length = contentLengthOf(headers);
  if (length !== undefined && length > limitBytes) return skipped("too_large");
  try {
    const before = bodyReadBefore(req);
    if (before !== undefined) {
      const isBounded = length !== undefined && headers["content-encoding"] === undefined;
      const taken = snapshotOf(before, limitBytes, isBounded);
      return taken === undefined
        ? skipped("too_large")
        : known(parsed(Buffer.from(taken), {}, limitBytes));
    }
  } catch {
    return skipped("failed");
  }
  if (!hasBody(headers)) return skipped("invalid");
  if (req.readableDidRead || req.destroyed) return skipped("unread");
  const { copied, stop } = copyBody(req, limitBytes);
  return { reading: copied.then((copy) => fromCopy(copy, headers, limitBytes)), stop };
}

const fromCopy = async (
  copy: BodyCopy,
  headers: IncomingMessage["headers"],
  limitBytes: number,
): Promise<BesideReading> => ("skipped" in copy ? copy : parsed(copy.bytes, headers, limitBytes));

async function parsed(
  bytes: Uint8Array,
  headers: IncomingMessage["headers"],
  limitBytes: number,
): Promise<BesideReading> {
  const read = await parseJson(bytes, headers, limitBytes);
  if ("body" in read) return read;
  return { skipped: read.problem.status === 413 ? "too_large" : "invalid" };
}

const known = (reading: Promise<BesideReading>): BodyBeside => ({ reading, stop: () => undefined });

const skipped = (cause: SkipCause): BodyBeside => known(Promise.resolve({ skipped: cause }));
