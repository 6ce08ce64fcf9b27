import { parseOptions, type Breaker, type BreakerState, type Clock } from "@sluice/contract";
import CircuitBreaker from "opossum";
import { z } from "zod";
import { createListeners } from "../listeners.ts";
import { systemClock } from "../system-clock.ts";

export const breakerOptionsSchema = z.strictObject({
  /** Share of failed calls in the window, 0 to 1, above which the circuit opens. */
  errorRate: z.number().min(0.01).max(0.99).default(0.5),
  /** Fewer settled calls in the window than this never open it. */
  minCalls: z.int().min(1).default(10),
  windowMs: z.int().min(100).max(3_600_000).default(10_000),
  /** How long it stays open before probes may pass. */
  openMs: z.int().min(10).max(3_600_000).default(30_000),
  /** Calls let through at once while half-open. */
  probes: z.int().min(1).max(100).default(1),
  /** Good probes in a row that close it again. */
  successesToClose: z.int().min(1).max(100).default(3),
});

export type BreakerOptions = Readonly<z.input<typeof breakerOptionsSchema>>;

const stateName = (circuit: CircuitBreaker): BreakerState => {
  if (circuit.opened) return "open";
  return circuit.halfOpen ? "half_open" : "closed";
};

/**
 * What opossum is fired with: it settles at once, so that a report is synchronous. opossum only calls
 * `then` and `catch`.
 */
const settled = (good: boolean): Promise<unknown> => {
  const thenable = {
    // oxlint-disable-next-line unicorn/no-thenable -- being a thenable that settles at once is its purpose
    then(onGood: (value: undefined) => void) {
      if (good) onGood(undefined);
      return {
        catch(onBad: (error: unknown) => void) {
          if (!good) onBad(undefined);
        },
      };
    },
  };
  return thenable as unknown as Promise<unknown>;
};

/**
 * A circuit breaker on opossum's window, states and timers. Calls are reported to opossum when they are
 * settled, not when they start: so rejected, unsettled and neutral calls count nothing, and a call
 * longer than the window still counts. Half-open probes are bounded here, because opossum closes on the
 * first good one.
 */
export function opossumBreaker(
  options: BreakerOptions & { readonly clock?: Clock | undefined } = {},
): Breaker {
  const { clock = systemClock, ...rest } = options;
  const limits = parseOptions("breaker", breakerOptionsSchema, rest);
  const listeners = createListeners<[from: BreakerState, to: BreakerState]>();

  // Counts up at each change of state, so that a report of an older state can be told and dropped.
  let generation = 0;
  let goodProbes = 0;
  /** When each probe that is out was let through. */
  let probesOut: number[] = [];
  let circuit = build();

  function build(): CircuitBreaker<[boolean]> {
    const next = new CircuitBreaker(settled, {
      timeout: false,
      errorThresholdPercentage: limits.errorRate * 100,
      volumeThreshold: limits.minCalls,
      rollingCountTimeout: limits.windowMs,
      rollingCountBuckets: 10,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      resetTimeout: limits.openMs,
    });
    next.on("open", () => changed("open"));
    next.on("halfOpen", () => changed("half_open"));
    next.on("close", () => {
      // Failures from before the circuit opened must not open it again.
      circuit.shutdown();
      circuit = build();
      changed("closed");
    });
    return next;
  }

  let state: BreakerState = "closed";
  function changed(to: BreakerState): void {
    const from = state;
    state = to;
    generation += 1;
    goodProbes = 0;
    probesOut = [];
    listeners.tell(from, to);
  }

  const report = (good: boolean): void => {
    // A refused report rejects the promise that nobody waits for.
    circuit.fire(good).catch(() => undefined);
  };

  return {
    get state() {
      return stateName(circuit);
    },
    tryAcquire() {
      if (circuit.opened) return undefined;
      const asked = generation;
      const probe = circuit.halfOpen;
      const askedAtMs = probe ? clock.monotonicMs() : 0;
      if (probe) {
        // A probe that nobody settled must not wedge the circuit.
        probesOut = probesOut.filter((at) => askedAtMs - at < limits.openMs);
        if (probesOut.length >= limits.probes) return undefined;
        probesOut.push(askedAtMs);
      }
      let open = true;
      return {
        settle(health) {
          if (!open) return;
          open = false;
          if (asked !== generation) return;
          if (!probe) {
            if (health !== "neutral") report(health === "success");
            return;
          }
          const place = probesOut.indexOf(askedAtMs);
          if (place >= 0) probesOut.splice(place, 1);
          if (health === "failure") report(false);
          if (health === "success") {
            goodProbes += 1;
            if (goodProbes >= limits.successesToClose) report(true);
          }
        },
      };
    },
    onStateChange(listener) {
      listeners.add(listener);
    },
    close() {
      listeners.clear();
      circuit.shutdown();
    },
  };
}
