import type { ServerResponse } from "node:http";
import type { Clock } from "@sluice/contract";
import type { LegacyAnswer } from "../parity.ts";
import { createBoundedBytes } from "./bounded-bytes.ts";
import { contentTypeOf } from "./content-type-of.ts";
import { lookAt, type Nesting } from "./look-at.ts";

/**
 * Resolves once somebody else's answer has ended, with a copy of its bytes as that handler writes them,
 * before they are compressed or cut into chunks. What the handler calls does what it did; of an error that
 * `write` or `end` throw, for what can't be written, the stack alone tells.
 * @param limitBytes a longer answer has no copy; with 0 nothing but its end is looked at
 */
export function copyAnswer(
  res: ServerResponse,
  limitBytes: number,
  clock: Clock,
): Promise<LegacyAnswer> {
  const { promise, resolve } = Promise.withResolvers<LegacyAnswer>();
  const startedMs = clock.monotonicMs();
  const copy = createBoundedBytes(limitBytes);
  const ends: (() => void)[] = [];
  let isWhole = limitBytes > 0;
  let contentType: string | undefined;

  const take = ([chunk, encoding]: readonly unknown[]): void => {
    if (isWhole) isWhole = copy.add(toBytes(chunk, encoding));
  };
  const end = (complete: boolean): void => {
    for (const stop of ends.splice(0)) stop();
    const type = contentType ?? res.getHeader("content-type");
    resolve({
      status: res.headersSent ? res.statusCode : undefined,
      contentType: typeof type === "string" ? type : undefined,
      body: isWhole ? copy.bytes : undefined,
      complete,
      latencyMs: clock.monotonicMs() - startedMs,
    });
  };

  ends.push(
    lookAt(res, "emit", ([event]) => {
      if (event === "finish") end(true);
      if (event === "close") end(res.writableFinished);
    }),
  );
  if (isWhole) {
    const nesting: Nesting = { depth: 0 };
    ends.push(
      lookAt(res, "write", take, nesting),
      lookAt(res, "end", take, nesting),
      // What is given here is in no header that could be asked for later.
      lookAt(res, "writeHead", (args) => {
        contentType = contentTypeOf(args.at(-1)) ?? contentType;
      }),
    );
  }
  return promise;
}

/** An `end` may have no chunk, or a callback in its place. */
function toBytes(chunk: unknown, encoding: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk !== "string") return new Uint8Array();
  return Buffer.from(chunk, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8");
}
