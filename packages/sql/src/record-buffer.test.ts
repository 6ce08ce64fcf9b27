import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { recordBuffer } from "./record-buffer.ts";

describe("recordBuffer", () => {
  it("hands out the oldest first, and they wait on until they are acknowledged", () => {
    const buffer = recordBuffer<string>(3);
    for (const row of ["a", "b", "c"]) expect(buffer.push(row)).toBe(true);
    expect(buffer.claim(2)).toEqual({ rows: ["a", "b"], from: 0, to: 2 });
    expect([buffer.size, buffer.head, buffer.tail]).toEqual([3, 0, 3]);
    buffer.acknowledge();
    expect([buffer.size, buffer.head, buffer.tail]).toEqual([1, 2, 3]);
    expect(buffer.claim(2).rows).toEqual(["c"]);
    buffer.putBack();
    expect(buffer.claim(2).rows).toEqual(["c"]);
  });

  it("drops the oldest for one more, and says so", () => {
    const buffer = recordBuffer<string>(2);
    buffer.push("a");
    buffer.push("b");
    expect(buffer.push("c")).toBe(false);
    expect([buffer.lost, buffer.size]).toEqual([1, 2]);
    expect(buffer.claim(9).rows).toEqual(["b", "c"]);
  });

  it("has lost what was dropped from under a claim only if that is put back", () => {
    const buffer = recordBuffer<string>(2);
    for (const row of ["a", "b"]) buffer.push(row);
    buffer.claim(2);
    buffer.push("c");
    buffer.acknowledge();
    expect([buffer.lost, buffer.size]).toEqual([0, 1]);
    buffer.push("d");
    buffer.claim(1);
    buffer.push("e");
    expect(buffer.lost).toBe(0);
    buffer.putBack();
    expect([buffer.lost, buffer.claim(2).rows]).toEqual([1, ["d", "e"]]);
  });

  it("has lost what was dropped beside a claim of the newest, whatever becomes of that", () => {
    for (const end of ["acknowledge", "putBack"] as const) {
      const buffer = recordBuffer<string>(2);
      for (const row of ["a", "b"]) buffer.push(row);
      buffer.claimNewest();
      buffer.push("c");
      expect(buffer.lost).toBe(1);
      buffer[end]();
      expect(buffer.lost).toBe(1);
    }
  });

  it("has lost everything once it is cleared, a claim too", () => {
    const buffer = recordBuffer<string>(2);
    for (const row of ["a", "b"]) buffer.push(row);
    buffer.claim(2);
    buffer.push("c");
    buffer.clear();
    expect([buffer.size, buffer.lost, buffer.claim(2).rows]).toEqual([0, 3, []]);
  });

  it("hands out the newest before its turn, and does not hand it out again once it is done with", () => {
    const buffer = recordBuffer<string>(4);
    for (const row of ["a", "b", "c"]) buffer.push(row);
    expect(buffer.claimNewest()).toEqual({ rows: ["c"], from: 2, to: 3 });
    buffer.putBack();
    expect(buffer.claimNewest().rows).toEqual(["c"]);
    buffer.push("d");
    buffer.acknowledge();
    expect(buffer.size).toBe(3);
    expect(buffer.claim(9).rows).toEqual(["a", "b", "d"]);
    buffer.putBack();
    for (const newest of ["d", "b", "a"]) {
      expect(buffer.claimNewest().rows).toEqual([newest]);
      buffer.acknowledge();
    }
    expect([buffer.size, buffer.head, buffer.tail, buffer.lost]).toEqual([0, 4, 4, 0]);
  });

  it("acknowledges, keeps or counts every row, in whatever order", () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ claim: fc.integer({ min: 1, max: 9 }) }),
      fc.constantFrom("claim newest" as const, "acknowledge" as const, "put back" as const),
    );
    fc.assert(
      fc.property(fc.array(step), fc.integer({ min: 1, max: 7 }), (steps, capacity) => {
        const buffer = recordBuffer<number>(capacity);
        const written: number[] = [];
        let claimed: readonly number[] = [];
        let sent = 0;
        for (const one of steps) {
          if (one === "acknowledge") {
            written.push(...claimed);
            buffer.acknowledge();
            claimed = [];
          } else if (one === "put back") {
            buffer.putBack();
            claimed = [];
          } else if (one === "claim newest") {
            buffer.putBack();
            claimed = buffer.claimNewest().rows;
          } else if ("claim" in one) {
            buffer.putBack();
            claimed = buffer.claim(one.claim).rows;
          } else {
            for (let n = 0; n < one.push; n += 1) buffer.push(sent++);
          }
          expect(buffer.size).toBeLessThanOrEqual(capacity);
          const hasClaimed = one === "claim newest" || (typeof one === "object" && "claim" in one);
          expect(hasClaimed && buffer.size > 0 && claimed.length === 0).toBe(false);
        }
        buffer.putBack();
        const kept = buffer.claim(capacity).rows;
        expect(kept).toEqual(kept.toSorted((a, b) => a - b));
        expect(kept).toHaveLength(buffer.size);
        expect(new Set([...written, ...kept]).size).toBe(written.length + kept.length);
        expect(written.length + kept.length + buffer.lost).toBe(sent);
        expect(buffer.tail).toBe(sent);
      }),
      { numRuns: 1_000 },
    );
  });
});
