import type { Breaker, BreakerPermit, ProviderHealth } from "@sluice/contract";

export interface BreakerOptions {
  /** Share of failed calls in the window, 0 to 1, above which the circuit opens. */
  readonly errorRate: number;
  /** Fewer settled calls in the window than this never open it. */
  readonly minCalls: number;
  readonly windowMs: number;
  /** How long it stays open before probes may pass. */
  readonly openMs: number;
  /** Calls let through at once while half-open. */
  readonly probes: number;
  /** Good probes that close it again. */
  readonly successesToClose: number;
}

export interface BreakerHarness {
  readonly breaker: Breaker;
  /** Lets time pass for the breaker. */
  readonly advance: (ms: number) => void | Promise<void>;
}

export type CreateBreaker = (options: BreakerOptions) => BreakerHarness;

export interface Bench extends BreakerHarness {
  /** Asks, and fails where the breaker refuses. */
  readonly take: () => BreakerPermit;
  /** Makes so many calls one after the other, each with this end. */
  readonly calls: (count: number, health: ProviderHealth) => void;
  /** Brings a closed breaker to half-open with no probe out. */
  readonly halfOpen: () => Promise<void>;
}

export const usual: BreakerOptions = {
  errorRate: 0.5,
  minCalls: 10,
  windowMs: 10_000,
  openMs: 5000,
  probes: 2,
  successesToClose: 3,
};

/** Runs a check on a breaker of its own. */
export async function withBreaker(
  create: CreateBreaker,
  use: (bench: Bench) => void | Promise<void>,
  options: BreakerOptions = usual,
): Promise<void> {
  const { breaker, advance } = create(options);
  const take = (): BreakerPermit => {
    const permit = breaker.tryAcquire();
    if (permit === undefined) throw new Error(`refused while ${breaker.state}`);
    return permit;
  };
  const calls = (count: number, health: ProviderHealth): void => {
    for (let i = 0; i < count; i += 1) take().settle(health);
  };
  try {
    await use({
      breaker,
      advance,
      take,
      calls,
      async halfOpen() {
        calls(options.minCalls, "failure");
        await advance(options.openMs);
      },
    });
  } finally {
    breaker.close();
  }
}
