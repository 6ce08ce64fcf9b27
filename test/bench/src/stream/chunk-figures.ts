import type { Percentiles } from "./percentiles.ts";

export type ReaderName = "openai" | "fetch" | "guard";

/** What one reader's streams came to. */
export interface ReaderFigures {
  /** From asking to the first piece of text, of short streams one after the other. */
  readonly firstMs: Percentiles;
  /** The same of paced streams, whose reader was asleep before. */
  readonly firstPacedMs: Percentiles;
  /** From the upstream's sending a piece to its reader's having it. */
  readonly delayMs: Percentiles;
  readonly cpuPacedMs: number;
  readonly cpuRushedMs: number;
  /** Pieces that came merged or not at all, or more often than they were sent. */
  readonly amiss: number;
}

/** All of them in one run. */
export type ChunkFigures = Readonly<Record<ReaderName, ReaderFigures>> & {
  readonly chunksSent: number;
};
