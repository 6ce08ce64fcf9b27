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
}
