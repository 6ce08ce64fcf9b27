import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { UpkeepStep } from "./upkeep-step.ts";
import { createUpkeep } from "./upkeep.ts";

/** Upkeep over a server that a test switches on, and what that heard: a release by its id. */
function open(capacity: number) {
  let isThere = false;
  let isRefusing = false;
  const heard: string[] = [];
  const upkeep = createUpkeep({
    run: (_, __, args) => {
      if (isRefusing) return Promise.reject(new Error("LOADING"));
      heard.push(...args.map(String).filter((arg) => arg.startsWith("id-")));
      return Promise.resolve([0, 0, 0]);
    },
    now: () => 0,
    scriptTime: () => "",
    capacity,
    canSend: () => isThere,
    onProcesses: () => undefined,
  });
  return {
    upkeep,
    heard,
    add: (number: number, shard = "one") => upkeep.add(release(number, shard)),
    come: (is = true) => void (isThere = is),
    refuse: (is: boolean) => void (isRefusing = is),
  };
}

const release = (number: number, shard: string): UpkeepStep => ({
  do: "release",
  counted: { shard, set: `${shard}:in`, lists: undefined },
  id: `id-${number}`,
  subject: undefined,
});
/** Resolves once whatever was under way is answered. */
const answered = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
};
const numbers = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);
const ids = (all: readonly number[]): readonly string[] => all.map((number) => `id-${number}`);

describe("upkeep that has no room", () => {
  it("gives up the oldest, a thousandth of its room at once, and keeps the order of the others", async () => {
    const { upkeep, heard, add, come } = open(5000);
    for (const number of numbers(0, 5000)) add(number);
    expect(upkeep).toMatchObject({ pending: 5000, dropped: 0 });
    add(5000);
    expect(upkeep).toMatchObject({ pending: 4996, dropped: 5 });
    for (const number of numbers(5001, 5005)) add(number);
    expect(upkeep).toMatchObject({ pending: 5000, dropped: 5 });
    add(5005);
    expect(upkeep).toMatchObject({ pending: 4996, dropped: 10 });
    come();
    await upkeep.flush();
    expect(heard).toEqual(ids(numbers(10, 5006)));
    expect(upkeep).toMatchObject({ pending: 0, dropped: 10 });
  });

  it("takes it from the shard that has most", async () => {
    const { upkeep, heard, add, come } = open(10);
    for (const number of numbers(0, 3)) add(number, "few");
    for (const number of numbers(3, 12)) add(number, "many");
    come();
    await upkeep.flush();
    expect(heard).toEqual(ids([0, 1, 2, ...numbers(5, 12)]));
    expect(upkeep.dropped).toBe(2);
  });

  it("gives up the oldest also where they come back refused, to what took their room meanwhile", async () => {
    const { upkeep, heard, add, come, refuse } = open(4);
    for (const number of numbers(0, 4)) add(number);
    come();
    refuse(true);
    upkeep.send();
    come(false);
    for (const number of numbers(4, 8)) add(number);
    expect(upkeep.pending).toBe(8);
    await answered();
    expect(upkeep).toMatchObject({ pending: 4, dropped: 4 });
    refuse(false);
    come();
    await upkeep.flush();
    expect(heard).toEqual(ids(numbers(4, 8)));
  });

  it("never holds more than its room, and counts each step as told or as dropped", async () => {
    const step = fc.record({
      what: fc.constantFrom("add", "add", "add", "add", "come", "refuse", "serve", "flush"),
      shard: fc.constantFrom("a", "b", "c"),
    });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 6 }), fc.array(step), async (room, steps) => {
        const { upkeep, heard, add, come, refuse } = open(room);
        let added = 0;
        for (const { what, shard } of steps) {
          if (what === "add") add((added += 1), shard);
          if (what === "come") come();
          if (what === "refuse" || what === "serve") refuse(what === "refuse");
          if (what === "flush") void upkeep.flush();
          await answered();
          expect(upkeep.pending).toBeLessThanOrEqual(room);
          expect(heard.length + upkeep.pending + upkeep.dropped).toBe(added);
        }
        come();
        refuse(false);
        await upkeep.flush();
        expect(new Set(heard).size).toBe(added - upkeep.dropped);
        expect(heard).toHaveLength(added - upkeep.dropped);
      }),
    );
  });
});
