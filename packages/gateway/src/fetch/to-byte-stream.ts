import type { StreamEvent } from "@sluice/contract";
import type { GuardStream } from "@sluice/guard";

export interface EncodedStream<Ok, Failed, Stub> {
  readonly stream: GuardStream<Ok, Failed, Stub>;
  readonly begin: string;
  readonly encode: (event: StreamEvent<Ok, Failed, Stub>) => string;
}

const utf8 = new TextEncoder();

/** A guarded answer as a body: read no faster than its reader takes it, ended with it. */
export function toByteStream<Ok, Failed, Stub>({
  stream,
  begin,
  encode,
}: EncodedStream<Ok, Failed, Stub>): ReadableStream<Uint8Array> {
  const events = stream[Symbol.asyncIterator]();
  let before = begin;
  let isCancelled = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          const next: IteratorResult<StreamEvent<Ok, Failed, Stub>, unknown> = await events.next();
          if (isCancelled) return;
          if (next.done === true) {
            controller.close();
            return;
          }
          const text = before + encode(next.value);
          before = "";
          if (text === "") continue;
          controller.enqueue(utf8.encode(text));
          return;
        }
      },
      cancel() {
        isCancelled = true;
        stream.cancel();
      },
    },
    // Nothing is read ahead of the client.
    { highWaterMark: 0 },
  );
}
