import { describe, expect, it } from "vitest";
import { lookAt } from "./look-at.ts";

class Adder {
  base = 1;
  add(one: number, other = 0): number {
    if (one < 0) throw new RangeError("negative");
    return this.base + one + other;
  }
  twice(one: number): number {
    return this.add(one) + this.add(one);
  }
}

const own = (): number => 5;

describe("a method that is looked at", () => {
  it("does what it did, on what it did, whatever the look does", () => {
    const adder = new Adder();
    const seen: unknown[] = [];
    lookAt(adder, "add", (args) => {
      seen.push(args);
      throw new Error("defect");
    });
    expect(adder.add(2, 3)).toBe(6);
    const other = Object.assign(new Adder(), { base: 10 });
    expect(adder.add.call(other, 1)).toBe(11);
    expect(() => adder.add(-1)).toThrow(new RangeError("negative"));
    expect(seen).toEqual([[2, 3], [1], [-1]]);
  });

  it("is nothing that one finds among the keys, and is as before in the end", () => {
    const adder = new Adder();
    const stop = lookAt(adder, "add", () => undefined);
    expect(Object.keys(adder)).toEqual(["base"]);
    stop();
    expect(Object.hasOwn(adder, "add")).toBe(false);
  });

  it("may be the object's own, which comes back", () => {
    const adder = Object.assign(new Adder(), { add: own });
    const stop = lookAt(adder, "add", () => undefined);
    expect(adder.add()).toBe(5);
    stop();
    expect(adder.add).toBe(own);
  });

  it("may be wrapped by others meanwhile, and shows them nothing afterwards", () => {
    const adder = new Adder();
    const seen: unknown[] = [];
    const stop = lookAt(adder, "add", (args) => seen.push(args));
    const inner = adder.add.bind(adder);
    adder.add = (one) => inner(one) * 100;
    expect(adder.add(1)).toBe(200);
    stop();
    expect(adder.add(2)).toBe(300);
    expect(seen).toEqual([[1]]);
  });

  it("shows the outermost call only where it shares that with others", () => {
    const adder = new Adder();
    const nesting = { depth: 0 };
    const seen: unknown[] = [];
    lookAt(adder, "add", ([one]) => seen.push(["add", one]), nesting);
    lookAt(adder, "twice", ([one]) => seen.push(["twice", one]), nesting);
    adder.twice(3);
    expect(() => adder.twice(-1)).toThrow(RangeError);
    adder.add(4);
    expect(seen).toEqual([
      ["twice", 3],
      ["twice", -1],
      ["add", 4],
    ]);
  });
});
