import { setImmediate as turn } from "node:timers/promises";
import { FakeClock } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createLater } from "./later.ts";

function open() {
  const clock = new FakeClock();
  const later = createLater(clock, 50);
  const begun: string[] = [];
  const ask = (name: string): Promise<void> => later().then(() => void begun.push(name));
  return { clock, later, begun, ask };
}

describe("what nobody waits for", () => {
  it("begins together with what was asked for first, and no later than so long", async () => {
    const { clock, begun, ask } = open();
    void ask("first");
    await clock.advanceAsync(49);
    void ask("second");
    expect(begun).toEqual([]);
    await clock.advanceAsync(1);
    await turn();
    expect(begun).toEqual(["first", "second"]);
  });

  it("begins a few a turn of the event loop, in the order of asking", async () => {
    const { clock, begun, ask } = open();
    const names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    for (const name of names) void ask(name);
    clock.advance(50);
    const seen: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      await turn();
      seen.push(begun.length);
    }
    expect(seen).toEqual([4, 8, 9]);
    expect(begun).toEqual(names);
  });

  it("does what the first sets going before the second begins", async () => {
    const { clock, later, begun } = open();
    const work = async (name: string): Promise<void> => {
      await later();
      begun.push(`${name} begins`);
      await Promise.resolve();
      begun.push(`${name} ends`);
    };
    void work("first");
    void work("second");
    await clock.advanceAsync(50);
    await turn();
    expect(begun).toEqual(["first begins", "first ends", "second begins", "second ends"]);
  });

  it("goes on with what asks while another begins, and after a rest", async () => {
    const { clock, later, begun, ask } = open();
    void later().then(() => ask("from within"));
    await clock.advanceAsync(50);
    await turn();
    expect(begun).toEqual([]);
    await clock.advanceAsync(50);
    await turn();
    expect(begun).toEqual(["from within"]);
    await clock.advanceAsync(60_000);
    void ask("after a rest");
    await clock.advanceAsync(50);
    await turn();
    expect(begun).toEqual(["from within", "after a rest"]);
    expect(clock.pendingTimers).toBe(0);
  });
});
