import type { BreakerState } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { usual, withBreaker, type CreateBreaker } from "./bench.ts";

export const stateChecks: readonly Check<CreateBreaker>[] = [
  {
    name: "tells every listener each change of state, from what to what",
    run: (create) =>
      withBreaker(create, async ({ breaker, advance, calls, take }) => {
        const told: [BreakerState, BreakerState][] = [];
        let others = 0;
        breaker.onStateChange((from, to) => told.push([from, to]));
        breaker.onStateChange(() => {
          others += 1;
        });
        calls(10, "failure");
        await advance(usual.openMs);
        take().settle("failure");
        await advance(usual.openMs);
        calls(3, "success");
        calls(5, "success");
        expect(told).toEqual([
          ["closed", "open"],
          ["open", "half_open"],
          ["half_open", "open"],
          ["open", "half_open"],
          ["half_open", "closed"],
        ]);
        expect(others).toBe(told.length);
      }),
  },
  {
    name: "I8 goes on as if nothing were when a listener throws",
    run: (create) =>
      withBreaker(create, async ({ breaker, calls, take, halfOpen }) => {
        let told = 0;
        breaker.onStateChange(() => {
          throw new Error("planted");
        });
        breaker.onStateChange(() => {
          told += 1;
        });
        await halfOpen();
        take();
        calls(3, "success");
        expect(breaker.state).toBe("closed");
        expect(told).toBe(3);
        calls(10, "failure");
        expect(breaker.state).toBe("open");
      }),
  },
];
