import type { IncomingMessage } from "node:http";
import type { CopiedBody, SkipCause } from "../watched-call.ts";
import { contentLengthOf, hasBody, isJson } from "../body/body-headers.ts";
import { bodyReadBefore } from "./body-read-before.ts";
import { copyBody, type BodyCopy } from "./copy-body.ts";
import { parseJson } from "../body/parse-json.ts";
import { snapshotOf } from "./snapshot.ts";

/** A body that somebody else reads, or has read. */
export interface BodyBeside {
  /** Never rejects. */
  readonly copied: Promise<CopiedBody>;
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
        : known({ parse: () => parseJson(Buffer.from(taken), {}, limitBytes) });
    }
  } catch {
    return skipped("failed");
  }
  if (!hasBody(headers)) return skipped("invalid");
  if (req.readableDidRead || req.destroyed) return skipped("unread");
  const { copied, stop } = copyBody(req, limitBytes);
  const toRead = (copy: BodyCopy): CopiedBody =>
    "skipped" in copy ? copy : { parse: () => parseJson(copy.bytes, headers, limitBytes) };
  return { copied: copied.then(toRead), stop };
}

const known = (copied: CopiedBody): BodyBeside => ({
  copied: Promise.resolve(copied),
  stop: () => undefined,
});

const skipped = (cause: SkipCause): BodyBeside => known({ skipped: cause });
