import type { LanguageModelV4StreamPart } from "@ai-sdk/provider";

/** No answer has so many at once; what is beyond is not ended. */
const maxOpen = 64;

/** Blocks of text and reasoning that were begun and not ended. */
export class OpenBlocks {
  readonly #ends = new Map<string, LanguageModelV4StreamPart>();

  note(part: LanguageModelV4StreamPart): void {
    switch (part.type) {
      case "text-start":
        this.#begin(`text ${part.id}`, { type: "text-end", id: part.id });
        break;
      case "text-end":
        this.#ends.delete(`text ${part.id}`);
        break;
      case "reasoning-start":
        this.#begin(`reasoning ${part.id}`, { type: "reasoning-end", id: part.id });
        break;
      case "reasoning-end":
        this.#ends.delete(`reasoning ${part.id}`);
        break;
      default:
    }
  }

  /** What ends them, so that no reader waits for more of them. */
  ends(): LanguageModelV4StreamPart[] {
    return [...this.#ends.values()];
  }

  #begin(key: string, end: LanguageModelV4StreamPart): void {
    if (this.#ends.size < maxOpen) this.#ends.set(key, end);
  }
}
