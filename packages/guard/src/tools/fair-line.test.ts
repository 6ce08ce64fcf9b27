import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createFairLine } from "./fair-line.ts";

interface Waiter {
  readonly subject: string;
  readonly number: number;
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("add" as const), subject: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("take" as const), subject: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), subject: fc.nat(30) }) },
);

describe("a fair line", () => {
  it("serves a subject with one item within a round, behind one with a thousand", () => {
    const line = createFairLine<string>();
    for (let i = 0; i < 1000; i += 1) line.add("greedy", `greedy ${i}`);
    line.add("modest", "modest");
    expect([line.take(), line.take(), line.take()]).toEqual(["greedy 0", "modest", "greedy 1"]);
  });

  it("serves every subject that waits before it serves any of them twice, each oldest first", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const line = createFairLine<Waiter>();
        let waiting: { readonly waiter: Waiter; readonly leave: () => void }[] = [];
        // Since a subject was served last: who has waited all that time without being served.
        const passedOver = new Map<string, Set<string>>();
        const isWaiting = (subject: string): boolean =>
          waiting.some(({ waiter }) => waiter.subject === subject);

        const serve = (): void => {
          const [due] = line.inTurn();
          const waiter = line.take();
          expect(waiter).toBe(due);
          const subject = waiter?.subject ?? "";
          const oldest = waiting.find((other) => other.waiter.subject === subject);
          expect(waiter).toBe(oldest?.waiter);
          expect(waiter === undefined).toBe(waiting.length === 0);
          waiting = waiting.filter((other) => other !== oldest);
          expect([...(passedOver.get(subject) ?? [])]).toEqual([]);
          for (const others of passedOver.values()) others.delete(subject);
          const others = new Set(waiting.map((other) => other.waiter.subject));
          others.delete(subject);
          passedOver.set(subject, others);
        };

        for (const [number, one] of steps.entries()) {
          if (one.do === "add") {
            const waiter = { subject: `subject-${one.subject}`, number };
            waiting.push({ waiter, leave: line.add(waiter.subject, waiter) });
          } else if (one.do === "take") serve();
          else {
            const [gone] = waiting.splice(one.subject % Math.max(1, waiting.length), 1);
            gone?.leave();
          }
          for (const others of passedOver.values()) {
            for (const subject of others) if (!isWaiting(subject)) others.delete(subject);
          }
          expect(line.size).toBe(waiting.length);
          expect(line.oldest).toBe(waiting[0]?.waiter);
        }
        while (waiting.length > 0) serve();
        expect(line.take()).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });
});
