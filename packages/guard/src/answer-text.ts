import type { TextRules } from "@sluice/contract";
import { startScan, type ForbiddenText, type TextScan } from "@sluice/policy";
import type { ReasoningText } from "./reasoning-text.ts";
import type { WriteText } from "./write-text.ts";

/** Text pieces are joined when there are so many: each alone costs far more than its characters. */
const piecesJoined = 512;
/** The most text of an answer that is held back whole; far above any model's. */
const maxHeldBack = 8 * 1024 * 1024;

/**
 * The text of one request's answer, over its turns and attempts. Under a contract of plain text it flows
 * on as soon as its rules permit; else it is only collected.
 */
export class AnswerText {
  readonly #rules: TextRules | undefined;
  readonly #forbidden: ForbiddenText;
  readonly #write: WriteText | undefined;
  /** Beside the answer; undefined where it does not leave. */
  readonly reasoning: ReasoningText | undefined;
  /** Of the turns before. */
  #before = "";
  #pieces: string[] = [];
  #length = 0;
  #scan: TextScan;
  #left = false;

  constructor(
    rules: TextRules | undefined,
    forbidden: ForbiddenText,
    /** Absent: nothing leaves before it is whole. */
    write: WriteText | undefined,
    reasoning?: ReasoningText,
  ) {
    this.#rules = rules;
    this.#forbidden = forbidden;
    this.#write = write;
    this.reasoning = reasoning;
    this.#scan = startScan(forbidden);
  }

  /** Whether content of the attempt under way has left. */
  get hasLeft(): boolean {
    return this.#left;
  }

  /** Forgets what an attempt that failed had brought. */
  beginAttempt(): void {
    this.#pieces = [];
    this.#length = 0;
    this.#left = false;
    this.reasoning?.beginAttempt();
    this.#scan = startScan(this.#forbidden);
    // A pattern may begin in one turn and end in the next. Of the turns before has left what may.
    if (this.#rules !== undefined) this.#scan.push(this.#before);
  }

  /** `refused`: the contract does not permit the text. A promise: its reader needs time. */
  push(piece: string): "refused" | Promise<void> | undefined {
    this.reasoning?.pause();
    this.#length += piece.length;
    const max = this.#rules?.maxChars ?? maxHeldBack;
    if (this.#before.length + this.#length > max) return "refused";
    if (this.#pieces.push(piece) >= piecesJoined) this.#pieces = [this.#pieces.join("")];
    if (this.#rules === undefined || this.#write === undefined) return undefined;
    const certain = this.#scan.push(piece);
    if (certain === undefined) return "refused";
    return certain === "" ? undefined : this.#emit(certain);
  }

  /** The turn is complete, and another follows. */
  endTurn(): void {
    this.#before += this.ofAttempt();
    this.#pieces = [];
    this.#length = 0;
  }

  /** The answer is complete: what was held back is certain now. */
  end(): void {
    this.reasoning?.pause();
    const rest = this.#rules === undefined || this.#write === undefined ? "" : this.#scan.end();
    if (rest !== "") void this.#emit(rest);
  }

  ofAttempt(): string {
    return this.#pieces.length === 1 ? (this.#pieces[0] ?? "") : this.#pieces.join("");
  }

  /** With the text of the attempt under way. */
  whole(): string {
    return this.#before + this.ofAttempt();
  }

  #emit(text: string): Promise<void> | undefined {
    this.#left = true;
    return this.#write?.(text);
  }
}
