import type { Clock } from "@sluice/contract";
import { z } from "zod";

const methods = ["monotonicMs", "wallMs", "after", "every"] as const;

/** For options that take a clock. */
export const clockSchema = z.custom<Clock>(
  (value) =>
    typeof value === "object" &&
    value !== null &&
    methods.every((name) => typeof (value as Partial<Clock>)[name] === "function"),
  { error: "a clock" },
);

/** The machine's clocks and timers. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  every(intervalMs, callback) {
    const timer = setInterval(callback, intervalMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};
