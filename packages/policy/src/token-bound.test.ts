import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tokenUpperBound } from "./token-bound.ts";

const encoder = new TextEncoder();

describe("the upper bound of a text's tokens", () => {
  it("is the text's bytes in UTF-8, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        expect(tokenUpperBound(text)).toBe(encoder.encode(text).length);
      }),
    );
  });

  it("counts a lone surrogate as the replacement character it is sent as", () => {
    expect(tokenUpperBound("\ud83e")).toBe(3);
    expect(tokenUpperBound("🧪")).toBe(4);
  });

  it.each([
    ["a", 1],
    ["語", 3],
    ["🧪", 4],
  ])("grows in proportion to 100,000 repetitions of %s", (unit, bytes) => {
    expect(tokenUpperBound(unit.repeat(100_000))).toBe(100_000 * bytes);
  });

  it("of nothing is nothing", () => {
    expect(tokenUpperBound("")).toBe(0);
  });
});
