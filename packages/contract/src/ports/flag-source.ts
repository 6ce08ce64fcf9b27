import type { FeatureFlags, FlagProblem } from "../feature-flags.ts";
import type { Switches } from "../switches.ts";

/** When flags were last known to be true, on both clocks. */
export interface Confirmation {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** Where flags come from. Reads are from memory, synchronous, and never throw. */
export interface FlagSource {
  /** For people: `env`, `file`, `static`. */
  readonly name: string;
  /** The flags of a feature; an unknown feature is disabled. */
  read(feature: string): FeatureFlags;
  readSwitches(): { readonly switches: Switches; readonly problems: readonly FlagProblem[] };
  /** Undefined for a source that cannot go stale. */
  confirmedAt(): Confirmation | undefined;
  /** Why the last try to confirm failed, as a code (SQLSTATE or the system's); undefined while all is well. */
  trouble?(): string | undefined;
  /** Called after a change became readable. A source that cannot tell never calls; readers poll. */
  onChange(listener: () => void): () => void;
  /** Stops watching. Reads go on answering, and go stale where the source can. */
  close(): void;
}
