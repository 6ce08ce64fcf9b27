import { array, assert, constantFrom, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { similarityOf } from "./similarity.ts";

describe("the similarity of two texts", () => {
  it.each([
    ["", "", 1],
    ["", "a word", 0],
    ["the same words", "The same WORDS!", 1],
    ["one two three", "four five six", 0],
    // Of two pairs each, one is shared.
    ["one two three", "two three four", 0.5],
    ["one", "one two", 2 / 3],
    ["yes yes", "yes", 2 / 3],
  ])("%j and %j: %d", (one, other, expected) => {
    expect(similarityOf(one, other)).toBeCloseTo(expected, 12);
  });

  it("is from 0 to 1, the same both ways, and 1 for a text and itself", () => {
    const text = array(constantFrom("a", "b", "cc", "Ä", "7"), { maxLength: 12 });
    assert(
      property(text, text, (a, b) => {
        const [one, other] = [a.join(" "), b.join(", ")];
        const figure = similarityOf(one, other);
        expect(figure).toBeGreaterThanOrEqual(0);
        expect(figure).toBeLessThanOrEqual(1);
        expect(similarityOf(other, one)).toBe(figure);
        expect(similarityOf(one, one)).toBe(1);
      }),
    );
  });
});
