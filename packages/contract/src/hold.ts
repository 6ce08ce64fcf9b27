import type { Usage } from "./usage.ts";

/** How the work that a hold covers ended. */
export type HoldEnd =
  /** Nothing left this process: nothing is charged. */
  | {
      readonly how: "void";
      /** Only of a call that was tried and got nowhere; a circuit breaker learns from it. */
      readonly health?: ProviderHealth;
    }
  | {
      readonly how: "settle";
      /** Real usage where the provider told it; without it a reservation stays charged whole. */
      readonly usage?: Usage | undefined;
      /** What a circuit breaker learns from it. */
      readonly health: ProviderHealth;
    };

/** `neutral`: says nothing about the provider (the caller's mistake, an abort). */
export type ProviderHealth = "success" | "failure" | "neutral";

/**
 * Something a gate took that must be given back: a budget reservation, a breaker permit, an admission
 * lease. `release` gives it back; only the first call counts.
 */
export interface Hold {
  readonly kind: "reservation" | "permit" | "lease";
  release(end: HoldEnd): void;
  /** Keeps a lease alive while work goes on; a hold without a lease time has none. */
  renew?(): void;
}
