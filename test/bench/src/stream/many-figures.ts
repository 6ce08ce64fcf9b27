import type { Percentiles } from "./percentiles.ts";
import type { Sample } from "./drift.ts";

/** What many streams at once came to. */
export interface ManyFigures {
  /** Concurrent at the plateau, and begun in all. */
  readonly concurrent: number;
  readonly begun: number;
  /** Without a terminal event, or without one of their pieces. */
  readonly unfinished: number;
  /** Bytes of a stream at the plateau, over time. */
  readonly bytesPerStream: readonly Sample[];
  /** The same without a guard: the generator and who reads it. */
  readonly bareBytesPerStream: number;
  /** How late the event loop was at the plateau, collections that a sample asked for left out. */
  readonly latenessMs: Percentiles;
  /** Share of one core at the plateau, collections that a sample asked for left out. */
  readonly cores: number;
  readonly bareCores: number;
  readonly inFlightAtEnd: number;
  readonly bytesLeftPerStream: number;
}
