import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLinkedList, type Link } from "./linked-list.ts";

describe("a linked list", () => {
  it("holds the order of what was appended, whatever is taken out of where", () => {
    const step = fc.oneof(
      fc.constant({ do: "append" } as const),
      fc.record({ do: fc.constant("remove" as const), which: fc.nat(20) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const list = createLinkedList<number>();
        const model: Link<number>[] = [];
        for (const [item, one] of steps.entries()) {
          if (one.do === "append") model.push(list.append(item));
          else {
            const [gone] = model.splice(one.which % Math.max(1, model.length), 1);
            if (gone !== undefined) list.remove(gone);
          }
          const items: number[] = [];
          for (let link = list.first; link !== undefined; link = link.next) items.push(link.item);
          expect(items).toEqual(model.map((link) => link.item));
        }
      }),
    );
  });
});
