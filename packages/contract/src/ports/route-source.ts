import type { FlagProblem } from "../feature-flags.ts";
import type { ProviderConfig } from "../provider-config.ts";

/**
 * Where the candidates of a route come from, when they change while the application runs. Reads are from
 * memory, synchronous, and never throw.
 */
export interface RouteSource {
  /** For people: `static`, `sql`. */
  readonly name: string;
  /** The same array for as long as nothing changed; what it holds is checked by the reader. */
  read(): readonly ProviderConfig[];
  /**
   * What is malformed in it now, so that the last good rows are read; the same array for as long as nothing
   * changed. A source that leaves the checking to its reader has none.
   */
  problems?(): readonly FlagProblem[];
}
