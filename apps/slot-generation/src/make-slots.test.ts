import * as fc from "fast-check";
import { expect, test } from "vitest";
import { makeSlots } from "./make-slots.ts";
import { SlotsStub } from "./slots-contract.ts";

const job = fc.record({
  id: fc.string({ minLength: 1 }),
  prompt: fc.string(),
  slots: fc.integer({ min: 1, max: 20 }),
  minutes: fc.integer({ min: 20, max: 240 }),
  metadata: fc.record(
    {
      allowAI: fc.boolean(),
      subject: fc.string({ minLength: 1, maxLength: 80 }),
      kind: fc.string({ minLength: 1, maxLength: 80 }),
    },
    { requiredKeys: [] },
  ),
});

test("a stub keeps the contract, has the slots and minutes asked for, and is the same each time", () => {
  fc.assert(
    fc.property(job, (one) => {
      const made = SlotsStub.parse(makeSlots(one));
      expect(made.slots).toHaveLength(one.slots);
      expect(made.slots.reduce((sum, { minutes }) => sum + minutes, 0)).toBe(one.minutes);
      expect(makeSlots(one)).toStrictEqual(made);
    }),
  );
});
