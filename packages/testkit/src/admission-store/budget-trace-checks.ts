import type { GateMode, Reason, SharedReservation } from "@sluice/contract";
import * as fc from "fast-check";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import type { AdmissionStoreOptions, CreateAdmissionStore } from "./bench.ts";
import { price, withBudgets } from "./budget-bench.ts";
import { budgetModel, type ModelCharge } from "./budget-model.ts";

const dayMs = 86_400_000;

const anyMode = fc.constantFrom<GateMode>("enforce", "enforce", "shadow", "off");
const anyBudget = fc
  .record(
    {
      calls: fc.integer({ min: 1, max: 8 }),
      tokens: fc.integer({ min: 1, max: 3000 }),
      costNanoUsd: fc.integer({ min: 1, max: 1_500_000 }),
    },
    { requiredKeys: [] },
  )
  .filter((caps) => Object.keys(caps).length > 0)
  .chain((caps) => anyMode.map((mode) => ({ ...caps, mode })));
const anyOptions: fc.Arbitrary<Pick<AdmissionStoreOptions, "userBudget" | "globalBudget">> = fc
  .record({ userBudget: anyBudget, globalBudget: anyBudget }, { requiredKeys: [] })
  .filter(({ userBudget, globalBudget }) => (userBudget ?? globalBudget) !== undefined);

const anyCall = fc.record({
  inputTokens: fc.nat(300),
  outputTokens: fc.nat(800),
  minOutputTokens: fc.nat(100),
  price: fc.constant(price),
});
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ subject: fc.constantFrom("ann", "ben"), call: anyCall }),
  },
  { weight: 2, arbitrary: fc.record({ further: fc.nat(5), call: anyCall }) },
  {
    weight: 4,
    arbitrary: fc.record({
      end: fc.constantFrom("settle", "lose", "void"),
      which: fc.nat(5),
      /** Real usage, in hundredths of what was set aside. */
      share: fc.nat(100),
    }),
  },
  { weight: 1, arbitrary: fc.record({ isNextDay: fc.boolean() }) },
);

interface Held {
  readonly subject: string;
  readonly reservation: SharedReservation;
  readonly charge: ModelCharge;
  isOpen: boolean;
}

export const budgetTraceChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "I3 holds its budgets exactly over any trace of requests, further calls, endings and days",
    run: (create) =>
      fc.assert(
        fc.asyncProperty(
          anyOptions,
          fc.array(step, { maxLength: 40, size: "max" }),
          (options, steps) =>
            withBudgets(create, options, async ({ clock, ask }) => {
              const model = budgetModel(options);
              const held: Held[] = [];
              let day = 0;
              const latest = (which: number): Held | undefined =>
                held[held.length - 1 - (which % Math.max(1, held.length))];
              const compare = (
                subject: string,
                expected: ReturnType<typeof model.ask>,
                got: SharedReservation | Reason | undefined,
              ): void => {
                if (expected.charge === undefined) {
                  expect(expected.refused).toContain(got);
                  return;
                }
                expect(got).toMatchObject({ outputTokens: expected.outputTokens });
                if (typeof got !== "object") return;
                held.push({ subject, reservation: got, charge: expected.charge, isOpen: true });
              };
              for (const one of steps) {
                if ("isNextDay" in one) {
                  // Of two days, back and forth.
                  const next = one.isNextDay ? 1 : 0;
                  clock.stepWall((next - day) * dayMs);
                  day = next;
                } else if ("subject" in one) {
                  const { subject, call } = one;
                  const expected = model.ask(subject, day, call);
                  const reply = await ask(subject, { budget: call });
                  expect(new Set(reply.wouldRefuse)).toEqual(expected.wouldRefuse);
                  compare(subject, expected, reply.admitted ? reply.reservation : reply.reason);
                } else if ("further" in one) {
                  const { subject, reservation } = latest(one.further) ?? {};
                  if (subject === undefined || reservation === undefined) continue;
                  const expected = model.ask(subject, day, one.call);
                  const reply = await reservation.further(one.call);
                  if (reply === "unavailable") throw new Error("unavailable");
                  compare(subject, expected, reply.granted ? reply.reservation : reply.reason);
                } else {
                  const which = latest(one.which);
                  if (which !== undefined) end(model, which, one.end, one.share);
                }
              }
            }),
        ),
        { numRuns: 150 },
      ),
  },
];

/** One that has ended already is ended again, which counts nothing. */
function end(model: ReturnType<typeof budgetModel>, held: Held, how: string, share: number): void {
  const { reservation, charge, isOpen } = held;
  const inputTokens = Math.floor((reservation.inputTokens * share) / 100);
  const outputTokens = Math.floor((reservation.outputTokens * share) / 100);
  if (how === "void") reservation.void();
  else reservation.settle(how === "lose" ? undefined : { inputTokens, outputTokens });
  held.isOpen = false;
  if (!isOpen) return;
  if (how === "void") model.void(charge);
  else if (how === "settle") model.settle(charge, inputTokens, outputTokens);
}
