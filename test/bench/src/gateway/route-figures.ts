/** What a route's process says of itself. */
export interface RouteFigures {
  /** CPU time used so far, without what questions like this one took. */
  readonly cpuMs: number;
  /** Heap and buffers once garbage is collected. */
  readonly heldBytes: number;
  /** After the same. */
  readonly residentBytes: number;
  /** Decisions that hold something. */
  readonly inFlight: number;
  /** Places that the admission store counts. */
  readonly places: number;
  readonly shadow: ShadowFigures;
}

export interface ShadowFigures {
  readonly watched: number;
  readonly mirrors: number;
  /** Requests that the shadow left alone. */
  readonly skipped: number;
}
