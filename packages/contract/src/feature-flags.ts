/** One malformed value of a flag source: which variable or column, and how it was read. */
export interface FlagProblem {
  readonly variable: string;
  readonly expected: string;
  readonly readAs: string;
}

/**
 * What a flag source says of one feature. Immutable: a source hands out the same object for as long as
 * nothing changed, so identity tells whether a compiled form is still good.
 */
export interface FeatureFlags {
  readonly enabled: boolean;
  readonly killed: boolean;
  /** Integer, 0 to 100. */
  readonly percent: number;
  /** Subject ids; undefined is no opinion, an empty list permits nobody. */
  readonly allowlist: readonly string[] | undefined;
  /** Hashed before the subject; the empty salt hashes the bare id. */
  readonly salt: string;
  /** Counts up with each change, where the source has versions. */
  readonly version: number | undefined;
  readonly problems: readonly FlagProblem[];
  /**
   * Something of it is not believed, as a change that is under way or a list that may only narrow: nothing may
   * widen on it.
   */
  readonly settling?: true;
}
