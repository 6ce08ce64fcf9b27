import type { ServerResponse } from "node:http";
import type { Clock } from "@sluice/contract";

/**
 * Milliseconds from now until the status line was made; undefined where none was. It looks at when
 * `writeHead` is looked up and puts nothing around it: Node calls it for every response of HTTP/1.1, and
 * whoever wraps it later is called as well.
 */
export function firstByte(res: ServerResponse, clock: Clock): () => number | undefined {
  const arrivedMs = clock.monotonicMs();
  const before = Object.getOwnPropertyDescriptor(res, "writeHead");
  let writeHead: unknown = Reflect.get(res, "writeHead");
  let madeMs: number | undefined;
  Object.defineProperty(res, "writeHead", {
    get() {
      if (!res.headersSent) madeMs = clock.monotonicMs();
      return writeHead;
    },
    set(value: unknown) {
      writeHead = value;
    },
    configurable: true,
    enumerable: before?.enumerable ?? false,
  });
  return () => (madeMs === undefined || !res.headersSent ? undefined : madeMs - arrivedMs);
}
