/**
 * Bounds what was read from the jobs file and is not durable yet, so that a file of any size takes a
 * bounded memory.
 */
export class ReadingWindow {
  readonly #maxJobs: number;
  readonly #maxBytes: number;
  #jobs = 0;
  #bytes = 0;
  #change = Promise.withResolvers<void>();

  constructor(limits: { readonly jobs: number; readonly bytes: number }) {
    this.#maxJobs = limits.jobs;
    this.#maxBytes = limits.bytes;
  }

  /** Waits until there is room; for one reader. */
  async enter(bytes: number): Promise<void> {
    while (!this.#hasRoom(bytes)) await this.#change.promise;
    this.#jobs += 1;
    this.#bytes += bytes;
  }

  leave(bytes: number): void {
    this.#jobs -= 1;
    this.#bytes -= bytes;
    this.#change.resolve();
    this.#change = Promise.withResolvers<void>();
  }

  /** Resolves when everything that entered has left. */
  async empty(): Promise<void> {
    while (this.#jobs > 0) await this.#change.promise;
  }

  #hasRoom(bytes: number): boolean {
    // A job that is larger than the window enters alone.
    if (this.#jobs === 0) return true;
    return this.#jobs < this.#maxJobs && this.#bytes + bytes <= this.#maxBytes;
  }
}
