import type { IncomingMessage } from "node:http";
import { contentLengthOf } from "../body/body-headers.ts";
import { createBoundedBytes } from "./bounded-bytes.ts";

export type BodyCopy =
  | { readonly bytes: Uint8Array }
  | { readonly skipped: "too_large" | "unread" };

type Emit = IncomingMessage["emit"];

/**
 * Copies the body as somebody else reads it, whichever way: whatever a stream gives out it emits as `data`
 * as well. A listener of our own would set it flowing, and take what is another's. The copy is ready when the
 * body was read to its end; `stop` says that it will not be any more.
 */
export function copyBody(
  req: IncomingMessage,
  limitBytes: number,
): { readonly copied: Promise<BodyCopy>; readonly stop: () => void } {
  const { promise, resolve } = Promise.withResolvers<BodyCopy>();
  const copy = createBoundedBytes(limitBytes, contentLengthOf(req.headers));
  const before = Object.getOwnPropertyDescriptor(req, "emit");
  const original: Emit = Reflect.get(req, "emit");
  let isDone = false;

  const done = (how: BodyCopy): void => {
    if (isDone) return;
    isDone = true;
    resolve(how);
    if (Object.getOwnPropertyDescriptor(req, "emit")?.get !== emitter) return;
    if (before === undefined) Reflect.deleteProperty(req, "emit");
    else Object.defineProperty(req, "emit", before);
  };

  const look = (event: unknown, chunk: unknown): void => {
    try {
      if (event === "end") done({ bytes: copy.bytes });
      if (event === "close") done({ skipped: "unread" });
      if (event === "data" && !copy.add(toBytes(chunk, req.readableEncoding))) {
        done({ skipped: "too_large" });
      }
    } catch {
      done({ skipped: "unread" });
    }
  };
  const looked = function (this: IncomingMessage, ...args: Parameters<Emit>): boolean {
    if (!isDone) look(args[0], args[1]);
    return Reflect.apply(original, this, args);
  };
  // `end` is no call of ours: what a parser throws there would show it in its stack, which Express answers
  // with while it is not in production.
  const emitter = (): unknown => {
    if (isDone || !req.readableEnded) return looked;
    done({ bytes: copy.bytes });
    return original;
  };
  Object.defineProperty(req, "emit", {
    get: emitter,
    set(value: unknown) {
      Object.defineProperty(req, "emit", { value, writable: true, configurable: true });
    },
    configurable: true,
    enumerable: before?.enumerable ?? false,
  });
  return { copied: promise, stop: () => done({ skipped: "unread" }) };
}

/** Text where the reader has asked for it. */
const toBytes = (chunk: unknown, encoding: BufferEncoding | null): Uint8Array =>
  typeof chunk === "string" ? Buffer.from(chunk, encoding ?? "utf8") : (chunk as Uint8Array);
