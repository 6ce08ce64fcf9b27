import { describe, expect, it } from "vitest";
import { snapshotOf } from "./snapshot.ts";

describe.each([true, false])("a snapshot of a body whose size is known: %s", (isBounded) => {
  it("is its JSON, which does not change with it", () => {
    const body = { messages: [{ role: "user", content: "hello" }], n: null };
    const taken = snapshotOf(body, 1000, isBounded);
    body.messages.length = 0;
    expect(JSON.parse(String(taken))).toEqual({
      messages: [{ role: "user", content: "hello" }],
      n: null,
    });
  });

  it("is the text or a copy of the bytes that a parser left", () => {
    const bytes = Buffer.from("{}");
    const taken = snapshotOf(bytes, 1000, isBounded);
    bytes.fill("x");
    expect(Buffer.from(taken as Uint8Array).toString()).toBe("{}");
    expect(snapshotOf("{}", 1000, isBounded)).toBe("{}");
    expect(snapshotOf("{}", 1, isBounded)).toBeUndefined();
    expect(snapshotOf(bytes, 1, isBounded)).toBeUndefined();
  });

  it("throws what the body throws", () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    expect(() => snapshotOf(circle, 1000, isBounded)).toThrow(TypeError);
  });
});

it("I12 of a body of unknown size stops at the limit", () => {
  let asked = 0;
  const body = Array.from({ length: 1000 }, () => ({
    toJSON() {
      asked += 1;
      return "0123456789";
    },
  }));
  expect(snapshotOf(body, 100, false)).toBeUndefined();
  expect(asked).toBeLessThan(20);
  expect(snapshotOf(["x".repeat(200)], 100, false)).toBeUndefined();
  expect(snapshotOf({ ["x".repeat(200)]: 1 }, 100, false)).toBeUndefined();
});
