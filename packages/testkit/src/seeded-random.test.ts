import { describe, expect, it } from "vitest";
import { seededRandom } from "./seeded-random.ts";

const draw = (seed: number, count: number) => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.next());
};

describe("seeded randomness", () => {
  it("is the same for the same seed and another for another", () => {
    expect(draw(7, 20)).toEqual(draw(7, 20));
    expect(draw(7, 20)).not.toEqual(draw(8, 20));
  });

  it("lies from 0 to below 1, evenly", () => {
    const drawn = draw(1, 10_000);
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...drawn)).toBeLessThan(1);
    const counts = Array.from(
      { length: 10 },
      (_, i) => drawn.filter((n) => Math.floor(n * 10) === i).length,
    );
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(200);
  });

  it("draws integers with both ends included", () => {
    const random = seededRandom(3);
    const drawn = new Set(Array.from({ length: 200 }, () => random.integer(2, 4)));
    expect(drawn).toEqual(new Set([2, 3, 4]));
  });

  it("picks each of a list's items, and nothing from nothing", () => {
    const random = seededRandom(3);
    const picked = new Set(Array.from({ length: 200 }, () => random.pick(["a", "b", "c"])));
    expect(picked).toEqual(new Set(["a", "b", "c"]));
    expect(() => random.pick([])).toThrow(RangeError);
  });
});
