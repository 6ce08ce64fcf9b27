import { startScan, type ForbiddenText, type TextScan } from "@sluice/policy";
import type { WriteText } from "./write-text.ts";

/** Characters that wait for the first content; what a model says to itself beyond them is not told. */
const maxWaiting = 64 * 1024;

/**
 * What a model says to itself in one request. Nothing of it leaves before the first content: until then
 * another attempt may take its place unseen. Where a forbidden pattern begins, the attempt's is over; the
 * answer is judged by itself.
 */
export class ReasoningText {
  readonly #forbidden: ForbiddenText;
  readonly #write: WriteText;
  #scan: TextScan;
  #waiting = "";
  #isOpen = false;
  #isOver = false;
  #isPaused = true;

  constructor(forbidden: ForbiddenText, write: WriteText) {
    this.#forbidden = forbidden;
    this.#write = write;
    this.#scan = startScan(forbidden);
  }

  /** Forgets what has not left of the attempt before. */
  beginAttempt(): void {
    this.#scan = startScan(this.#forbidden);
    this.#waiting = "";
    this.#isOver = false;
    this.#isPaused = true;
  }

  /** A promise: its reader needs time. */
  push(piece: string): Promise<void> | undefined {
    if (this.#isOver) return undefined;
    this.#isPaused = false;
    const certain = this.#scan.push(piece);
    this.#isOver = certain === undefined;
    return certain === undefined ? undefined : this.#emit(certain);
  }

  /** Content follows: what was held back of a pattern's beginning is certain now. */
  pause(): void {
    if (this.#isPaused || this.#isOver) return;
    this.#isPaused = true;
    void this.#emit(this.#scan.end());
    this.#scan = startScan(this.#forbidden);
  }

  /** The first content is about to leave. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    const waiting = this.#waiting;
    this.#waiting = "";
    void this.#emit(waiting);
  }

  #emit(text: string): Promise<void> | undefined {
    if (text === "") return undefined;
    if (this.#isOpen) return this.#write(text);
    if (this.#waiting.length + text.length > maxWaiting) this.#isOver = true;
    else this.#waiting += text;
    return undefined;
  }
}
