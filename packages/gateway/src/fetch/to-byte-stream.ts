import type { StreamEvent } from "@sluice/contract";
import type { GuardStream } from "@sluice/guard";

export interface EncodedStream<Ok, Failed, Stub> {
  readonly stream: GuardStream<Ok, Failed, Stub>;
  readonly begin: string;
  readonly encode: (event: StreamEvent<Ok, Failed, Stub>) => string;
}

const utf8 = new TextEncoder();

/**
 * A guarded answer as a body: read no faster than its reader takes it, ended with it.
 * @param onEnd told once nobody reads it any more
 */
export function toByteStream<Ok, Failed, Stub>(
  { stream, begin, encode }: EncodedStream<Ok, Failed, Stub>,
  onEnd: () => void,
): ReadableStream<Uint8Array> {
  const events = stream[Symbol.asyncIterator]();
  let before = begin;
  let isCancelled = false;

  /** Undefined at the end. */
  const piece = async (): Promise<string | undefined> => {
    for (;;) {
      const next: IteratorResult<StreamEvent<Ok, Failed, Stub>, unknown> = await events.next();
      if (next.done === true) return undefined;
      const text = before + encode(next.value);
      before = "";
      if (text !== "") return text;
    }
  };

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let text: string | undefined;
        try {
          text = await piece();
        } catch (error) {
          stream.cancel();
          onEnd();
          throw error;
        }
        if (isCancelled) return;
        if (text !== undefined) {
          controller.enqueue(utf8.encode(text));
          return;
        }
        controller.close();
        onEnd();
      },
      cancel() {
        isCancelled = true;
        onEnd();
        stream.cancel();
      },
    },
    // Nothing is read ahead of the client.
    { highWaterMark: 0 },
  );
}
