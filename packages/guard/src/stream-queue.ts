import type { Decision, Outcome, StreamEvent } from "@sluice/contract";

/** What is known when a stream's first content is there, or when the request ended without any. */
export interface StreamHead<Ok, Failed, Stub> {
  readonly decision: Decision;
  /** Set when the request ended before the model's first content: status and headers are still free. */
  readonly outcome?: Outcome<Ok, Failed, Stub>;
}

/** A guarded answer as it flows. It is read once. */
export interface GuardStream<Ok, Failed, Stub>
  extends AsyncIterable<StreamEvent<Ok, Failed, Stub>> {
  /**
   * Resolves with the first content, or with the outcome of a request that ended before it. Until then a
   * host commits to nothing, and failover is invisible.
   */
  readonly head: Promise<StreamHead<Ok, Failed, Stub>>;
  /** Resolves with the terminal event's outcome, whether or not anybody reads. */
  readonly outcome: Promise<Outcome<Ok, Failed, Stub>>;
  /** The reader goes away: the upstream is aborted. Leaving a `for await` loop does the same. */
  cancel(): void;
}

/** The writing end of a {@link GuardStream}. */
export interface StreamQueue<Ok, Failed, Stub> {
  readonly stream: GuardStream<Ok, Failed, Stub>;
  readonly cancelled: boolean;
  /** Called once when the reader goes away. */
  onCancel(listener: () => void): void;
  /** Content: the promise resolves when the reader has made room for more. */
  write(event: StreamEvent<Ok, Failed, Stub>, bytes: number): Promise<void> | undefined;
  /** The first content is about to leave. */
  open(decision: Decision): void;
  /** The terminal event. What comes after it is dropped. */
  end(event: Extract<StreamEvent<Ok, Failed, Stub>, { outcome: unknown }>): void;
  /** A defect of the application around the guard: it reaches whoever reads. */
  fail(error: unknown): void;
}

interface Entry<Event> {
  readonly event: Event;
  readonly bytes: number;
}

/** Events between the pump and one reader, with room for `bufferBytes` of text and no more. */
export function createStreamQueue<Ok, Failed, Stub>(
  bufferBytes: number,
): StreamQueue<Ok, Failed, Stub> {
  type Event = StreamEvent<Ok, Failed, Stub>;
  type Result = IteratorResult<Event, undefined>;
  const head = Promise.withResolvers<StreamHead<Ok, Failed, Stub>>();
  const outcome = Promise.withResolvers<Outcome<Ok, Failed, Stub>>();
  // Whoever reads sees a failure; it must not be an unhandled rejection of those who don't.
  head.promise.catch(() => undefined);
  outcome.promise.catch(() => undefined);
  let entries: Entry<Event>[] = [];
  /** Entries before it were read. */
  let read = 0;
  let bytes = 0;
  let room: PromiseWithResolvers<void> | undefined;
  let readers: PromiseWithResolvers<Result>[] = [];
  let ended = false;
  let failed: { readonly error: unknown } | undefined;
  let cancelled = false;
  let cancel: (() => void) | undefined;

  const makeRoom = (): void => {
    if (room === undefined || bytes > bufferBytes) return;
    room.resolve();
    room = undefined;
  };

  const put = (event: Event, size: number): void => {
    const reader = readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: event });
      return;
    }
    entries.push({ event, bytes: size });
    bytes += size;
  };

  const take = (): Entry<Event> | undefined => {
    const entry = entries[read];
    if (entry === undefined) return undefined;
    read += 1;
    if (read === entries.length) {
      entries = [];
      read = 0;
    } else if (read >= 1024) {
      entries = entries.slice(read);
      read = 0;
    }
    bytes -= entry.bytes;
    makeRoom();
    return entry;
  };

  const finishReaders = (): void => {
    for (const reader of readers) {
      if (failed === undefined) reader.resolve({ done: true, value: undefined });
      else reader.reject(failed.error);
    }
    readers = [];
  };

  const goAway = (): void => {
    if (cancelled) return;
    cancelled = true;
    entries = [];
    read = 0;
    bytes = 0;
    makeRoom();
    finishReaders();
    if (!ended) cancel?.();
  };

  const iterator: AsyncIterator<Event, undefined> = {
    async next(): Promise<Result> {
      const entry = take();
      if (entry !== undefined) return { done: false, value: entry.event };
      if (failed !== undefined) throw failed.error;
      if (ended || cancelled) return { done: true, value: undefined };
      const reader = Promise.withResolvers<Result>();
      readers.push(reader);
      return reader.promise;
    },
    async return(): Promise<Result> {
      goAway();
      return { done: true, value: undefined };
    },
  };

  return {
    stream: {
      head: head.promise,
      outcome: outcome.promise,
      cancel: goAway,
      [Symbol.asyncIterator]: () => iterator,
    },
    get cancelled() {
      return cancelled;
    },
    onCancel(listener) {
      cancel = listener;
    },
    open: (decision) => head.resolve({ decision }),
    write(event, size) {
      if (ended || cancelled) return undefined;
      put(event, size);
      if (bytes <= bufferBytes) return undefined;
      room ??= Promise.withResolvers<void>();
      return room.promise;
    },
    end(event) {
      if (ended) return;
      ended = true;
      head.resolve({ decision: event.outcome.decision, outcome: event.outcome });
      outcome.resolve(event.outcome);
      if (!cancelled) put(event, 0);
      finishReaders();
    },
    fail(error) {
      if (ended) return;
      ended = true;
      failed = { error };
      head.reject(error);
      outcome.reject(error);
      finishReaders();
    },
  };
}
