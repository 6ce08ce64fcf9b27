import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addToHistogram,
  emptyLogHistogram,
  histogramQuantile,
  histogramToJson,
  logHistogramAccuracy,
  logHistogramGamma,
  mergeHistogram,
  parseLogHistogram,
  type LogHistogram,
} from "./log-histogram.ts";

function histogramOf(values: readonly number[]): LogHistogram {
  const histogram = emptyLogHistogram();
  for (const value of values) addToHistogram(histogram, value);
  return histogram;
}

const anyValue = fc.oneof(
  fc.double({ min: -1e15, max: 1e15, noNaN: true }),
  fc.integer({ min: 0, max: 60_000 }),
  fc.constantFrom(0, 1e-9, 1e15, -1, 1, 1e-12, logHistogramGamma, 1 / logHistogramGamma),
);
const anyValues = fc.array(anyValue, { minLength: 1, maxLength: 60 });
const anyQuantile = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.constantFrom(0, 0.5, 1),
);

/** What is told from zero at all, and what sums of floating-point numbers lose. */
const slack = (size: number): number => 1.01e-9 + size * 1e-9;

describe("a log-histogram", () => {
  it("has quantiles within 1 % of percentile_cont's", () => {
    fc.assert(
      fc.property(anyValues, anyQuantile, (values, q) => {
        const sorted = values.toSorted((a, b) => a - b);
        const rank = q * (sorted.length - 1);
        const part = rank - Math.floor(rank);
        const low = sorted[Math.floor(rank)] ?? 0;
        const high = sorted[Math.ceil(rank)] ?? 0;
        // Not by their difference: beside a large value that loses the small one.
        const exact = (1 - part) * low + part * high;
        // Of the interpolated value; where its two ranks differ in sign, of what each of them adds.
        const size = (1 - part) * Math.abs(low) + part * Math.abs(high);
        const estimate = histogramQuantile(histogramOf(values), q) ?? Number.NaN;
        expect(Math.abs(estimate - exact)).toBeLessThanOrEqual(
          logHistogramAccuracy * size + slack(size),
        );
      }),
      {
        numRuns: 2000,
        examples: [
          [[-44_627_394.56, 0], 0.9999999999999889],
          [[-561_218_858_567_266.44, 0], 0.9999999404535627],
          [[-1, -2_132_831_001.698091], 0.9999999999999982],
        ],
      },
    );
  });

  it("is the same merged as with everything added to one", () => {
    fc.assert(
      fc.property(fc.array(anyValues, { maxLength: 5 }), (lists) => {
        const merged = emptyLogHistogram();
        for (const list of lists) mergeHistogram(merged, histogramOf(list));
        const all = histogramOf(lists.flat());
        expect(histogramToJson(merged)).toEqual(histogramToJson(all));
        expect(merged.count).toBe(lists.flat().length);
      }),
    );
  });

  it("comes back from its JSON", () => {
    fc.assert(
      fc.property(anyValues, (values) => {
        const histogram = histogramOf(values);
        const text = JSON.stringify(histogramToJson(histogram));
        expect(parseLogHistogram(JSON.parse(text))).toEqual(histogram);
      }),
    );
  });

  it("names its buckets by the index that SQL computes", () => {
    expect(histogramToJson(histogramOf([1, 1, 100, -100, 0.001, 0, -0]))).toEqual({
      p0: 2,
      p231: 1,
      n231: 1,
      "p-345": 1,
      z: 2,
    });
    expect(Math.ceil(Math.log(100) / Math.log(1.01 / 0.99))).toBe(231);
  });

  it("has a bounded number of buckets, and values beyond are in the last one or zero", () => {
    const extremes = [Number.MAX_VALUE, 1e16, -Number.MAX_VALUE, Number.MIN_VALUE, -1e-10, 1e-9];
    expect(histogramToJson(histogramOf(extremes))).toEqual({
      p1727: 2,
      n1727: 1,
      z: 2,
      "p-1036": 1,
    });
  });

  it("counts what is no finite number apart, and merges that count", () => {
    const histogram = histogramOf([Number.NaN, Infinity, -Infinity, 7]);
    expect(histogram).toMatchObject({ count: 1, refused: 3 });
    mergeHistogram(histogram, histogram);
    expect(histogram).toMatchObject({ count: 2, refused: 6 });
  });

  it("has no quantile of nothing, nor one outside of 0 to 1", () => {
    expect(histogramQuantile(emptyLogHistogram(), 0.5)).toBeUndefined();
    for (const q of [-0.1, 1.1, Number.NaN]) {
      expect(histogramQuantile(histogramOf([1]), q)).toBeUndefined();
    }
  });

  it.each([
    null,
    [],
    "z",
    { q1: 1 },
    { p01: 1 },
    { "p-0": 1 },
    { p1728: 1 },
    { "p-1037": 1 },
    { z: 0 },
    { z: 1.5 },
    { z: "1" },
    { "a body": 1 },
  ])("is not parsed from %j", (json) => {
    expect(parseLogHistogram(json)).toBeUndefined();
  });
});
