import type { FileHandle } from "node:fs/promises";

interface Waiting {
  readonly line: string;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

/**
 * Appends lines to a file, each durable when its promise resolves. While one write is on its way to the
 * disk the next lines gather, and one fsync serves them all. After an error nothing more is written:
 * what the file holds past that point is not known.
 */
export class AppendLog {
  readonly #file: FileHandle;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #broken: { readonly error: Error } | undefined;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  append(line: string): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken.error);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ line, done: resolve, failed: reject });
    this.#writing ??= this.#drain();
    return promise;
  }

  /** Waits for what was appended; it does not tell whether that went well. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        if (this.#broken !== undefined) throw this.#broken.error;
        await this.#file.appendFile(batch.map(({ line }) => `${line}\n`).join(""));
        await this.#file.datasync();
        for (const { done } of batch) done();
      } catch (error) {
        this.#broken ??= { error: error instanceof Error ? error : new Error(String(error)) };
        for (const { failed } of batch) failed(this.#broken.error);
      }
    }
    this.#writing = undefined;
  }
}
