import { describeBreaker } from "@sluice/testkit";
import { afterAll, beforeAll, vi } from "vitest";
import { opossumBreaker } from "./opossum-breaker.ts";

// opossum knows no clock but the process's own.
beforeAll(() => {
  vi.useFakeTimers();
});
afterAll(() => {
  vi.useRealTimers();
});

describeBreaker("opossumBreaker", (options) => ({
  breaker: opossumBreaker(options),
  advance: (ms) => {
    vi.advanceTimersByTime(ms);
  },
}));
