import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLinkedSet, type Linked } from "./linked-set.ts";

interface Numbered extends Linked {
  readonly number: number;
}

describe("a linked set", () => {
  it("does as a Set does, over any additions and deletions", () => {
    const steps = fc.array(fc.record({ adds: fc.boolean(), number: fc.nat(9) }));
    fc.assert(
      fc.property(steps, (all) => {
        const members = Array.from({ length: 10 }, (_, number): Numbered => ({ number }));
        const linked = createLinkedSet<Numbered>();
        const model = new Set<Numbered>();
        for (const { adds, number } of all) {
          const member = members[number];
          if (member === undefined) continue;
          const isNew = !model.has(member);
          if (adds && isNew) linked.add(member);
          const isGone = adds ? !isNew : linked.delete(member);
          expect(isGone).toBe(!isNew);
          if (adds) model.add(member);
          else model.delete(member);
          expect(Array.from(linked, (one) => one.number)).toEqual(
            Array.from(model, (one) => one.number),
          );
          expect(linked.size).toBe(model.size);
          expect(linked.first).toBe([...model][0]);
        }
      }),
    );
  });

  it("lets members go while it is walked", () => {
    const linked = createLinkedSet<Numbered>();
    for (let number = 0; number < 3; number += 1) linked.add({ number });
    const seen: number[] = [];
    for (const member of linked) {
      seen.push(member.number);
      linked.delete(member);
    }
    expect(seen).toEqual([0, 1, 2]);
    expect(linked.size).toBe(0);
  });
});
