import type { ProviderHealth } from "../hold.ts";

export type BreakerState = "closed" | "open" | "half_open";

/** Leave to make one call. Settled once; later settlements and those of an older state are dropped. */
export interface BreakerPermit {
  settle(health: ProviderHealth): void;
}

/** Asks first, reports afterwards; synchronous throughout. */
export interface Breaker {
  readonly state: BreakerState;
  /** Undefined when the circuit is open, or half-open with all its probes out. */
  tryAcquire(): BreakerPermit | undefined;
  onStateChange(listener: (from: BreakerState, to: BreakerState) => void): void;
  close(): void;
}
