import type { ReadableStreamReadResult } from "node:stream/web";
import { joined } from "./read-bytes.ts";

type Read = ReadableStreamReadResult<Uint8Array>;

/** A body that can be looked into: what was looked at is read again. */
export interface LookAhead {
  /** The whole of it if it is in memory already; waits for nothing that is not. */
  whole(): Promise<Uint8Array | undefined>;
  read(): Promise<Read>;
  cancel(reason: unknown): Promise<void>;
}

/** Turns of promises within which a body in memory has given its one piece; no time passes. */
const turns = 32;

export function lookAhead(source: ReadableStream<Uint8Array>): LookAhead {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  // Not before it is read: until then the source is as it was.
  const opened = (): ReadableStreamDefaultReader<Uint8Array> => (reader ??= source.getReader());
  const seen: Promise<Read>[] = [];
  return {
    async whole() {
      const chunks: Uint8Array[] = [];
      let length = 0;
      while (chunks.length < 2) {
        const reading = opened().read();
        seen.push(reading);
        const read = await atOnce(reading);
        if (read === undefined || (!read.done && !(read.value instanceof Uint8Array))) break;
        if (read.done) return joined(chunks, length);
        chunks.push(read.value);
        length += read.value.byteLength;
      }
      return undefined;
    },
    read: () => seen.shift() ?? opened().read(),
    cancel: (reason) => opened().cancel(reason),
  };
}

/** Undefined where it does not come at once, or fails: whoever reads on will see it. */
const atOnce = (reading: Promise<Read>): Promise<Read | undefined> =>
  Promise.race([reading.catch(() => undefined), turnsLater()]);

async function turnsLater(): Promise<undefined> {
  for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
  return undefined;
}
