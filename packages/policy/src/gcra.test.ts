import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gcra, rateStanding, type RateLimit } from "./gcra.ts";

/** Up to a thousand events a second; beyond that a wall clock's readings are too coarse to count them. */
const anyLimit: fc.Arbitrary<RateLimit> = fc.record({
  count: fc.integer({ min: 1, max: 1000 }),
  perMs: fc.integer({ min: 1000, max: 3_600_000 }),
  burst: fc.integer({ min: 1, max: 200 }),
});

/** From a fresh process to a wall clock's reading. */
const anyNow = fc.oneof(
  fc.double({ min: 0, max: 1e6, noNaN: true }),
  fc.double({ min: 1e9, max: 2e12, noNaN: true }),
);

const emissionOf = (limit: RateLimit): number => limit.perMs / limit.count;

/** The times at which events were allowed. */
function allowedTimes(limit: RateLimit, arrivals: readonly number[]): number[] {
  const times: number[] = [];
  let tatMs = 0;
  for (const nowMs of arrivals) {
    const verdict = gcra(tatMs, nowMs, limit);
    if (!verdict.allowed) continue;
    tatMs = verdict.tatMs;
    times.push(nowMs);
  }
  return times;
}

describe("a rate limit", () => {
  it("allows exactly its burst at one instant, however late the clock reads", () => {
    fc.assert(
      fc.property(anyLimit, anyNow, (limit, nowMs) => {
        const arrivals = Array.from({ length: limit.burst + 20 }, () => nowMs);
        expect(allowedTimes(limit, arrivals)).toHaveLength(limit.burst);
      }),
    );
  });

  it("never allows more than its burst and what the time since has earned", () => {
    const waits = fc.array(fc.double({ min: 0, max: 3, noNaN: true }), {
      maxLength: 80,
      size: "max",
    });
    fc.assert(
      fc.property(anyLimit, anyNow, waits, (limit, startMs, intervals) => {
        const emissionMs = emissionOf(limit);
        let nowMs = startMs;
        const arrivals = intervals.map((wait) => (nowMs += wait * emissionMs));
        const times = allowedTimes(limit, arrivals);
        for (const [i, from] of times.entries()) {
          for (const [j, to] of times.entries()) {
            if (j < i) continue;
            const earned = limit.burst + (to - from) / emissionMs;
            // One event of slack in a million for the rounding of the clock's readings.
            const slack = 1e-6 + (Number.EPSILON * 4 * to * (limit.burst + 1)) / emissionMs;
            expect(j - i + 1).toBeLessThanOrEqual(earned + slack);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("allows every event that keeps to the rate", () => {
    const spacing = fc.array(fc.double({ min: 1.000_001, max: 3, noNaN: true }), {
      maxLength: 50,
      size: "max",
    });
    fc.assert(
      fc.property(anyLimit, spacing, (limit, intervals) => {
        let nowMs = 1000;
        const arrivals = intervals.map((interval) => (nowMs += interval * emissionOf(limit)));
        expect(allowedTimes({ ...limit, burst: 1 }, arrivals)).toHaveLength(arrivals.length);
      }),
    );
  });

  it("tells a refused caller the time at which it is allowed, and no earlier one is", () => {
    fc.assert(
      fc.property(anyLimit, fc.double({ min: 0, max: 1e6, noNaN: true }), (limit, nowMs) => {
        let tatMs = 0;
        let verdict = gcra(tatMs, nowMs, limit);
        while (verdict.allowed) {
          tatMs = verdict.tatMs;
          verdict = gcra(tatMs, nowMs, limit);
        }
        const wait = verdict.retryAfterMs;
        expect(wait).toBeGreaterThan(0);
        expect(gcra(tatMs, nowMs + wait, limit).allowed).toBe(true);
        expect(gcra(tatMs, nowMs + wait * 0.99, limit).allowed).toBe(false);
      }),
    );
  });

  it("is not moved by refused events", () => {
    const limit = { count: 1, perMs: 1000, burst: 1 };
    const first = gcra(0, 5000, limit);
    const tatMs = first.allowed ? first.tatMs : Number.NaN;
    for (let i = 0; i < 100; i += 1) expect(gcra(tatMs, 5999, limit).allowed).toBe(false);
    expect(gcra(tatMs, 6000, limit).allowed).toBe(true);
  });

  it.each([
    { count: 1500, perMs: 1000, burst: 1500 },
    { count: 2000, perMs: 1000, burst: 2000 },
    { count: 50_000, perMs: 1000, burst: 20_000 },
    { count: 1_000_000_000, perMs: 1000, burst: 1_000_000 },
  ])("holds $count a second by a wall clock, whose digits end near the interval", (limit) => {
    let tatMs = 0;
    let allowed = 0;
    const start = 1.76e12;
    for (let ms = 0; ms < 100; ms += 1) {
      const attempts = Math.min(40_000, Math.ceil((2 * limit.count) / 1000) + limit.burst / 50);
      for (let n = 0; n < attempts; n += 1) {
        const verdict = gcra(tatMs, start + ms, limit);
        if (!verdict.allowed) continue;
        tatMs = verdict.tatMs;
        allowed += 1;
      }
    }
    expect(allowed).toBeLessThanOrEqual(limit.burst + (100 * limit.count) / limit.perMs + 1);
  });

  it("lets nobody wait longer than one interval, whatever state a stricter limit left", () => {
    fc.assert(
      fc.property(anyLimit, anyNow, anyNow, (limit, nowMs, tatMs) => {
        const verdict = gcra(tatMs, nowMs, limit);
        const wait = verdict.allowed ? 0 : verdict.retryAfterMs;
        expect(wait).toBeLessThanOrEqual(emissionOf(limit) * 1.001 + Number.EPSILON * 4 * nowMs);
      }),
    );
  });

  it("saves up no more than its burst over a long silence", () => {
    const limit = { count: 10, perMs: 1000, burst: 3 };
    const flood = Array.from({ length: 50 }, () => 10_000_000);
    expect(allowedTimes(limit, [0, ...flood])).toHaveLength(1 + 3);
  });
});

describe("what a rate has left", () => {
  it("is exactly how many events it then allows at once", () => {
    fc.assert(
      fc.property(anyLimit, anyNow, fc.nat(250), (limit, nowMs, tried) => {
        let tatMs = 0;
        const attempt = (): boolean => {
          const verdict = gcra(tatMs, nowMs, limit);
          if (verdict.allowed) tatMs = verdict.tatMs;
          return verdict.allowed;
        };
        for (let i = 0; i < tried; i += 1) attempt();
        const { remaining } = rateStanding(tatMs, nowMs, limit);
        let allowed = 0;
        while (attempt()) allowed += 1;
        expect(remaining).toBe(allowed);
      }),
    );
  });

  it("is never more than the burst nor less than nothing, whatever limit it was counted by before", () => {
    const anyTat = fc.double({ min: 0, max: 3e12, noNaN: true });
    fc.assert(
      fc.property(anyLimit, anyNow, anyTat, (limit, nowMs, tatMs) => {
        const { remaining, resetMs } = rateStanding(tatMs, nowMs, limit);
        expect(remaining).toBeGreaterThanOrEqual(0);
        expect(remaining).toBeLessThanOrEqual(limit.burst);
        expect(resetMs).toBeGreaterThanOrEqual(0);
        expect(resetMs).toBeLessThanOrEqual(emissionOf(limit) * limit.burst);
      }),
    );
  });
});
