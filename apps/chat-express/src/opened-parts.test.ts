import { describe, expect, it } from "vitest";
import { openedParts } from "./opened-parts.ts";

describe("what a process has opened", () => {
  it("is closed from the last to the first, each after the one before, and once", async () => {
    const order: string[] = [];
    const parts = openedParts();
    const closing = Promise.withResolvers<void>();
    parts.add(() => order.push("database"));
    parts.add(async () => {
      order.push("writer begins");
      await closing.promise;
      order.push("writer ends");
    });
    const closed = parts.close();
    expect(order).toEqual(["writer begins"]);
    closing.resolve();
    await closed;
    await parts.close();
    expect(order).toEqual(["writer begins", "writer ends", "database"]);
  });

  it("is closed also where a part of it can't be", async () => {
    const order: string[] = [];
    const parts = openedParts();
    parts.add(() => order.push("first"));
    parts.add(() => Promise.reject(new Error("gone")));
    parts.add(() => {
      throw new Error("gone as well");
    });
    await parts.close();
    expect(order).toEqual(["first"]);
  });
});
