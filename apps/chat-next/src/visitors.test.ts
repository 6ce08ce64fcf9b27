import { describe, expect, it } from "vitest";
import { createVisitors } from "./visitors.ts";

describe("visitors", () => {
  const visitors = createVisitors(Buffer.alloc(32, 7));

  it("are known by the cookie that they were given, each by its own", () => {
    const [alice, bob] = [visitors.greet(), visitors.greet()];
    expect(visitors.idOf(alice)).toMatch(/^[0-9a-f-]{36}$/);
    expect(visitors.idOf(alice)).not.toBe(visitors.idOf(bob));
  });

  it("can't choose who they are", () => {
    const cookie = visitors.greet();
    const [id = "", signature = ""] = cookie.split(".");
    const elsewhere = createVisitors(Buffer.alloc(32, 8)).greet();
    const forged = [undefined, "", id, `${id}.`, `${id}.${"0".repeat(64)}`, elsewhere];
    const swapped = `${visitors.idOf(visitors.greet()) ?? ""}.${signature}`;
    for (const value of [...forged, swapped]) expect(visitors.idOf(value)).toBeUndefined();
  });
});
