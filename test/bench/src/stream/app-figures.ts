/** What an application's process says of itself. */
export interface AppFigures {
  /** CPU time used so far, without what questions like this one took. */
  readonly cpuMs: number;
  /** Heap and buffers once garbage is collected. */
  readonly heldBytes: number;
  readonly residentBytes: number;
  readonly inFlight: number;
}
