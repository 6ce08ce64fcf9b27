/** Time and timers. */
export interface Clock {
  /** Milliseconds that only count up; may stand still while the machine sleeps. */
  monotonicMs(): number;
  /** Milliseconds since the epoch; may step either way. */
  wallMs(): number;
  /** Calls once after the delay, and keeps the process alive until then; the returned function cancels. */
  after(delayMs: number, callback: () => void): () => void;
  /** Calls at each interval without keeping the process alive; the returned function cancels. */
  every(intervalMs: number, callback: () => void): () => void;
}
