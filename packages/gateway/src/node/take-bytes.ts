import type { IncomingMessage } from "node:http";
import { contentLengthOf } from "../body/body-headers.ts";
import { createBoundedBytes } from "./bounded-bytes.ts";

export type TakenBytes =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly kind: "too_large" }
  /** The client went away while sending. */
  | { readonly kind: "gone" };

/**
 * Reads the bytes of a body and puts them back, before the stream has said that it ended: whoever reads the
 * request afterwards, in whatever way, reads all of it. Of a body beyond the limit no more than that and one
 * chunk is read.
 * @throws Error, as a rejection, where somebody has read the body before, or set the stream's encoding
 */
export async function takeBytes(req: IncomingMessage, limitBytes: number): Promise<TakenBytes> {
  if (req.destroyed && !req.readableEnded) return { kind: "gone" };
  if (req.readableDidRead || req.readableEncoding !== null) {
    throw new Error("sluice: the body was read before, and req.body does not hold it");
  }
  const expected = contentLengthOf(req.headers);
  if (expected !== undefined && expected > limitBytes) return { kind: "too_large" };
  // What came in one packet with the headers is here after it; of an empty body a listener would get the end.
  await Promise.resolve();
  const isEmpty = expected === 0 || (req.complete && req.readableLength === 0);
  return isEmpty ? { kind: "bytes", bytes: Buffer.alloc(0) } : read(req, limitBytes, expected);
}

function read(
  req: IncomingMessage,
  limitBytes: number,
  expected: number | undefined,
): Promise<TakenBytes> {
  const { promise, resolve } = Promise.withResolvers<TakenBytes>();
  const taken = createBoundedBytes(limitBytes, expected);

  const stop = (how: TakenBytes): void => {
    req.off("readable", look);
    req.off("end", ended);
    req.off("close", gone);
    resolve(how);
  };
  const putBack = (): void => {
    const { bytes } = taken;
    if (bytes.length > 0) req.unshift(bytes);
  };
  const ended = (): void => stop({ kind: "bytes", bytes: taken.bytes });
  const gone = (): void => stop({ kind: "gone" });

  /** Everything is here, and `end` has not been said: it is said once nothing is left to be read. */
  const isAllHere = (): boolean =>
    expected === undefined
      ? req.complete && req.readableLength === 0
      : taken.bytes.length >= expected;

  const look = (): void => {
    while (!isAllHere()) {
      const chunk = req.read() as Buffer | null;
      if (chunk === null) return;
      if (taken.add(chunk)) continue;
      req.unshift(chunk);
      putBack();
      stop({ kind: "too_large" });
      return;
    }
    putBack();
    ended();
  };

  req.on("readable", look);
  req.on("end", ended);
  req.on("close", gone);
  return promise;
}
