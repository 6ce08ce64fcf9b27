import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { coverLatency, dayMs, hourMs } from "./latency-cover.ts";

const day = Date.UTC(2026, 0, 5);
const at = (hours: number): number => day + hours * hourMs;
const hoursFrom = (first: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, index) => at(first + index));

describe("coverLatency", () => {
  it("takes whole days, then whole hours, then rows", () => {
    const whole = { fromMs: at(21.5), toMs: at(50.25) };
    expect(coverLatency(whole, [day, at(24)], hoursFrom(0, 50))).toEqual({
      days: [{ fromMs: at(24), toMs: at(48) }],
      hours: [
        { fromMs: at(22), toMs: at(24) },
        { fromMs: at(48), toMs: at(50) },
      ],
      rows: [
        { fromMs: at(21.5), toMs: at(22) },
        { fromMs: at(50), toMs: at(50.25) },
      ],
    });
  });

  it("takes rows of an hour that is not rolled up, and of all where none is", () => {
    const whole = { fromMs: at(1), toMs: at(4) };
    expect(coverLatency(whole, [], [at(1), at(3)]).rows).toEqual([{ fromMs: at(2), toMs: at(3) }]);
    expect(coverLatency(whole, [], [])).toEqual({ days: [], hours: [], rows: [whole] });
  });

  it("covers each moment once, whatever is rolled up", () => {
    const moment = fc.integer({ min: 0, max: 5 * dayMs }).map((ms) => day + ms);
    const starts = fc.uniqueArray(fc.integer({ min: 0, max: 119 }));
    fc.assert(
      fc.property(moment, moment, starts, starts, (one, other, days, hours) => {
        const whole = { fromMs: Math.min(one, other), toMs: Math.max(one, other) };
        const cover = coverLatency(
          whole,
          days
            .map((start) => day + (start % 5) * dayMs)
            .filter((v, i, all) => all.indexOf(v) === i),
          hours.map(at),
        );
        const spans = [...cover.days, ...cover.hours, ...cover.rows].toSorted(
          (a, b) => a.fromMs - b.fromMs,
        );
        let reached = whole.fromMs;
        for (const span of spans) {
          expect(span.fromMs).toBe(reached);
          expect(span.toMs).toBeGreaterThan(span.fromMs);
          reached = span.toMs;
        }
        expect(reached).toBe(whole.toMs);
      }),
    );
  });
});
