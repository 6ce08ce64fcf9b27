import type { BreakerPermit, BreakerState, ProviderHealth } from "@sluice/contract";
import * as fc from "fast-check";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import {
  withBreaker,
  type BreakerHarness,
  type BreakerOptions,
  type CreateBreaker,
} from "./bench.ts";

const tickMs = 100;

const anyOptions: fc.Arbitrary<BreakerOptions> = fc.record({
  errorRate: fc.constantFrom(0.1, 0.5, 0.9),
  minCalls: fc.integer({ min: 1, max: 6 }),
  windowMs: fc.constantFrom(1000, 5000),
  openMs: fc.constantFrom(500, 2000),
  probes: fc.integer({ min: 1, max: 3 }),
  successesToClose: fc.integer({ min: 1, max: 4 }),
});

const anyHealth = fc.constantFrom<ProviderHealth>("success", "failure", "failure", "neutral");
const step = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: "ask" as const }) },
  { weight: 4, arbitrary: fc.record({ which: fc.nat(5), health: anyHealth }) },
  { weight: 1, arbitrary: fc.record({ ticks: fc.integer({ min: 1, max: 25 }) }) },
);

interface Held {
  readonly permit: BreakerPermit;
  readonly epoch: number;
  readonly atMs: number;
  open: boolean;
}

/** Watches a breaker from outside, and holds each change of state against what was settled before it. */
function watch({ breaker, advance }: BreakerHarness, options: BreakerOptions) {
  const held: Held[] = [];
  const illegal: string[] = [];
  let epoch = 0;
  let nowMs = 0;
  let changedAtMs = 0;
  let good = 0;
  let bad = 0;

  const mayChange = (from: BreakerState, to: BreakerState): boolean => {
    switch (`${from} ${to}` as const) {
      case "closed open":
        return bad > 0 && good + bad >= options.minCalls;
      case "open half_open":
        return nowMs - changedAtMs >= options.openMs;
      case "half_open open":
        return bad > 0;
      case "half_open closed":
        return bad === 0 && good >= options.successesToClose;
      default:
        return false;
    }
  };
  breaker.onStateChange((from, to) => {
    if (!mayChange(from, to)) {
      illegal.push(
        `${from} to ${to} after ${good} good and ${bad} bad at ${nowMs - changedAtMs} ms`,
      );
    }
    epoch += 1;
    changedAtMs = nowMs;
    good = 0;
    bad = 0;
  });

  return {
    illegal,
    ask(): BreakerPermit | undefined {
      const mustRefuse = breaker.state === "open" && nowMs - changedAtMs < options.openMs;
      const permit = breaker.tryAcquire();
      const out = held.filter((one) => one.open && one.epoch === epoch);
      if (permit === undefined) {
        const full = breaker.state === "half_open" && out.length >= options.probes;
        if (!mustRefuse && !full) illegal.push(`refused while ${breaker.state}`);
        return undefined;
      }
      if (mustRefuse) illegal.push("a permit while open");
      held.push({ permit, epoch, atMs: nowMs, open: true });
      // A probe that nobody settles may lose its place in the end, so that it can't wedge the circuit.
      const young = out.filter((one) => nowMs - one.atMs < options.openMs);
      if (breaker.state === "half_open" && young.length >= options.probes) {
        illegal.push(`${young.length + 1} probes at once`);
      }
      return permit;
    },
    settle(which: number, health: ProviderHealth): void {
      const one = held[held.length - 1 - (which % Math.max(1, held.length))];
      if (one === undefined) return;
      if (one.open && one.epoch === epoch) {
        if (health === "success") good += 1;
        if (health === "failure") bad += 1;
      }
      one.open = false;
      one.permit.settle(health);
    },
    async wait(ticks: number): Promise<void> {
      for (let i = 0; i < ticks; i += 1) {
        nowMs += tickMs;
        await advance(tickMs);
      }
    },
  };
}

export const traceChecks: readonly Check<CreateBreaker>[] = [
  {
    name: "changes its state only for a reason, bounds its probes, and is never wedged, over any trace",
    run: (create) =>
      fc.assert(
        fc.asyncProperty(
          anyOptions,
          fc.array(step, { maxLength: 60, size: "max" }),
          (options, steps) =>
            withBreaker(
              create,
              async (bench) => {
                const watched = watch(bench, options);
                for (const one of steps) {
                  if ("kind" in one) watched.ask();
                  else if ("ticks" in one) await watched.wait(one.ticks);
                  else watched.settle(one.which, one.health);
                }
                expect(watched.illegal).toEqual([]);
                // Whatever was left unsettled or counted, time and good calls close it.
                await watched.wait(((options.openMs + options.windowMs) * 2) / tickMs);
                for (let i = 0; i < options.successesToClose; i += 1) {
                  const permit = watched.ask();
                  expect(permit).toBeDefined();
                  watched.settle(0, "success");
                }
                expect(bench.breaker.state).toBe("closed");
                expect(watched.illegal).toEqual([]);
              },
              options,
            ),
        ),
        { numRuns: 100 },
      ),
  },
];
