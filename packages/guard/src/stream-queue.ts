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

/** What a waiting event takes in memory besides its text; one letter at a time, it is far more than that. */
const entryBytes = 128;

interface Entry<Event> {
  readonly event: Event;
  readonly bytes: number;
}

/** Events between the pump and one reader, with room for `bufferBytes` of text and no more. */
export function createStreamQueue<Ok, Failed, Stub>(
  bufferBytes: number,
): StreamQueue<Ok, Failed, Stub> {
  return new BoundedQueue(bufferBytes);
}

type Result<Ok, Failed, Stub> = IteratorResult<StreamEvent<Ok, Failed, Stub>, undefined>;

/** Read entries are let go of at the latest when there are so many. */
const readKept = 1024;

const ignore = (): void => undefined;

/** One class, whose methods all streams share: there are many at once, and each waits for long. */
class BoundedQueue<Ok, Failed, Stub> implements StreamQueue<Ok, Failed, Stub> {
  readonly stream: GuardStream<Ok, Failed, Stub>;
  readonly #head = Promise.withResolvers<StreamHead<Ok, Failed, Stub>>();
  readonly #outcome = Promise.withResolvers<Outcome<Ok, Failed, Stub>>();
  readonly #bufferBytes: number;
  #entries: Entry<StreamEvent<Ok, Failed, Stub>>[] = [];
  /** Entries before it were read. */
  #read = 0;
  #bytes = 0;
  #room: PromiseWithResolvers<void> | undefined;
  #readers: PromiseWithResolvers<Result<Ok, Failed, Stub>>[] = [];
  #ended = false;
  #failed: { readonly error: unknown } | undefined;
  #cancelled = false;
  #cancel: (() => void) | undefined;

  constructor(bufferBytes: number) {
    this.#bufferBytes = bufferBytes;
    // Whoever reads sees a failure; it must not be an unhandled rejection of those who don't.
    this.#head.promise.catch(ignore);
    this.#outcome.promise.catch(ignore);
    this.stream = new QueueStream(this, this.#head.promise, this.#outcome.promise);
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  onCancel(listener: () => void): void {
    this.#cancel = listener;
  }

  open(decision: Decision): void {
    this.#head.resolve({ decision });
  }

  write(event: StreamEvent<Ok, Failed, Stub>, bytes: number): Promise<void> | undefined {
    if (this.#ended || this.#cancelled) return undefined;
    this.#put(event, bytes);
    if (this.#bytes <= this.#bufferBytes) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  end(event: Extract<StreamEvent<Ok, Failed, Stub>, { outcome: unknown }>): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#head.resolve({ decision: event.outcome.decision, outcome: event.outcome });
    this.#outcome.resolve(event.outcome);
    if (!this.#cancelled) this.#put(event, 0);
    this.#finishReaders();
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failed = { error };
    this.#head.reject(error);
    this.#outcome.reject(error);
    this.#finishReaders();
  }

  /** The next event. Not an async function, which would cost each piece two promises more. */
  next(): Promise<Result<Ok, Failed, Stub>> {
    const reader = Promise.withResolvers<Result<Ok, Failed, Stub>>();
    const entry = this.#take();
    if (entry !== undefined) reader.resolve({ done: false, value: entry.event });
    else {
      this.#readers.push(reader);
      if (this.#ended || this.#cancelled) this.#finishReaders();
    }
    return reader.promise;
  }

  /** The reader goes away. */
  goAway(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#entries = [];
    this.#read = 0;
    this.#bytes = 0;
    this.#makeRoom();
    this.#finishReaders();
    if (!this.#ended) this.#cancel?.();
  }

  #put(event: StreamEvent<Ok, Failed, Stub>, bytes: number): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: event });
      return;
    }
    this.#entries.push({ event, bytes: bytes + entryBytes });
    this.#bytes += bytes + entryBytes;
  }

  #take(): Entry<StreamEvent<Ok, Failed, Stub>> | undefined {
    const entry = this.#entries[this.#read];
    if (entry === undefined) return undefined;
    this.#read += 1;
    if (this.#read === this.#entries.length || this.#read >= readKept) {
      this.#entries = this.#entries.slice(this.#read);
      this.#read = 0;
    }
    this.#bytes -= entry.bytes;
    this.#makeRoom();
    return entry;
  }

  #makeRoom(): void {
    if (this.#room === undefined || this.#bytes > this.#bufferBytes) return;
    this.#room.resolve();
    this.#room = undefined;
  }

  #finishReaders(): void {
    for (const reader of this.#readers) {
      if (this.#failed === undefined) reader.resolve({ done: true, value: undefined });
      else reader.reject(this.#failed.error);
    }
    this.#readers = [];
  }
}

/** The reading end, from which the writing end can't be reached. */
class QueueStream<Ok, Failed, Stub> implements GuardStream<Ok, Failed, Stub> {
  readonly head: Promise<StreamHead<Ok, Failed, Stub>>;
  readonly outcome: Promise<Outcome<Ok, Failed, Stub>>;
  readonly #queue: BoundedQueue<Ok, Failed, Stub>;

  constructor(
    queue: BoundedQueue<Ok, Failed, Stub>,
    head: Promise<StreamHead<Ok, Failed, Stub>>,
    outcome: Promise<Outcome<Ok, Failed, Stub>>,
  ) {
    this.#queue = queue;
    this.head = head;
    this.outcome = outcome;
  }

  cancel(): void {
    this.#queue.goAway();
  }

  [Symbol.asyncIterator](): AsyncIterator<StreamEvent<Ok, Failed, Stub>, undefined> {
    const queue = this.#queue;
    return {
      next: () => queue.next(),
      return() {
        queue.goAway();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }
}
