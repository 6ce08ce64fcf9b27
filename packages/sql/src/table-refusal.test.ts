import { describe, expect, it } from "vitest";
import { tableRefusal } from "./table-refusal.ts";

/** How many in a row have to be refused. */
function untilTotal(refusal: ReturnType<typeof tableRefusal>): number {
  for (let rows = 1; rows <= 1_000; rows += 1) {
    refusal.refused();
    if (refusal.isTotal) return rows;
  }
  throw new Error("never");
}

describe("tableRefusal", () => {
  it("takes five refusals in a row for one of the table", () => {
    const refusal = tableRefusal(200);
    expect(refusal.isTotal).toBe(false);
    expect(untilTotal(refusal)).toBe(5);
  });

  it("begins anew with each row that is written", () => {
    const refusal = tableRefusal(200);
    for (let row = 0; row < 4; row += 1) refusal.refused();
    refusal.written(false);
    expect(refusal.isTotal).toBe(false);
    expect(untilTotal(refusal)).toBe(5);
  });

  it("takes twice as many each time that it was wrong, up to a batch, until a whole batch is written", () => {
    const refusal = tableRefusal(30);
    const needed = [];
    for (let round = 0; round < 5; round += 1) {
      needed.push(untilTotal(refusal));
      refusal.written(true);
      refusal.written(false);
    }
    expect(needed).toEqual([5, 10, 20, 30, 30]);
    refusal.written(true);
    expect(untilTotal(refusal)).toBe(5);
  });
});
