import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatUsd, parseUsd } from "./usd.ts";

test.each([
  ["0", 0],
  ["1", 1_000_000_000],
  ["1.50", 1_500_000_000],
  ["0.000000001", 1],
  ["1000000", 1_000_000_000_000_000],
])("%s is %d nano-dollars", (text, nanoUsd) => {
  expect(parseUsd(text)).toBe(nanoUsd);
});

test.each([[""], ["."], [".5"], ["1."], ["-1"], ["1e3"], ["$1"], ["1,5"], ["NaN"], ["1000000.1"]])(
  "%j is no amount",
  (text) => {
    expect(parseUsd(text)).toBeUndefined();
  },
);

test("what is printed is read back as it was", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_000_000_000_000_000 }), (nanoUsd) => {
      expect(parseUsd(formatUsd(nanoUsd).slice(1))).toBe(nanoUsd);
    }),
  );
  expect(formatUsd(1_500_000_000)).toBe("$1.50");
  expect(formatUsd(739_250)).toBe("$0.00073925");
});
