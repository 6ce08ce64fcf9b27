import type { ReadableStreamReadResult } from "node:stream/web";
import type { LookAhead } from "./look-ahead.ts";
import { joined } from "./read-bytes.ts";

/** How a body ended that passed by. */
export interface PassedBody {
  /** Undefined where it was longer than is copied. */
  readonly bytes: Uint8Array | undefined;
  /** It was read to its end. */
  readonly complete: boolean;
}

/**
 * The same body, chunk by chunk as its reader asks, and cancelled when its reader does so: what
 * `Response.tee()` would hide. Up to the limit it is copied on the way.
 */
export function watchBody(
  source: Pick<LookAhead, "read" | "cancel">,
  limitBytes: number,
  onEnd: (passed: PassedBody) => void,
): ReadableStream<Uint8Array> {
  let chunks: Uint8Array[] | undefined = [];
  let length = 0;

  const copy = (chunk: Uint8Array): void => {
    if (chunks === undefined) return;
    length += chunk.byteLength;
    // Whoever reads it may write over it, or send its memory elsewhere.
    if (length <= limitBytes) chunks.push(chunk.slice());
    else chunks = undefined;
  };
  const end = (complete: boolean): void =>
    onEnd({ bytes: chunks && joined(chunks, length), complete });

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let read: ReadableStreamReadResult<Uint8Array>;
        try {
          read = await source.read();
        } catch (error) {
          end(false);
          throw error;
        }
        if (read.done) {
          controller.close();
          end(true);
          return;
        }
        // What is no array of bytes is for the host to refuse, as without us.
        if (read.value instanceof Uint8Array) copy(read.value);
        controller.enqueue(read.value);
      },
      cancel(reason) {
        end(false);
        return source.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
