import type { BudgetAsk, BudgetCaps, BudgetUse, SharedReservation } from "@sluice/contract";
import * as fc from "fast-check";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { price, withBudgets, type BudgetHarness } from "./bench.ts";

const names = ["a", "b"] as const;

function anyCaps(least: number): fc.Arbitrary<BudgetCaps> {
  const cap = (max: number) => fc.option(fc.integer({ min: least, max }), { nil: undefined });
  return fc.record({ calls: cap(15), tokens: cap(5000), costNanoUsd: cap(2_000_000) });
}

const step = fc.oneof(
  fc.record({
    name: fc.constantFrom(...names),
    ask: fc.record({
      inputTokens: fc.nat(300),
      outputTokens: fc.nat(800),
      minOutputTokens: fc.nat(100),
      price: fc.constant(price),
    }),
  }),
  fc.record({
    ending: fc.constantFrom("settle", "settle", "lose", "void"),
    which: fc.nat(7),
    /** Real usage, in hundredths of what was set aside. */
    share: fc.nat(100),
  }),
);

interface Entry {
  readonly name: string;
  readonly reservation: SharedReservation;
  charged: BudgetUse;
  open: boolean;
}

const sum = (entries: readonly Entry[]): BudgetUse =>
  entries.reduce(
    (use, { charged }) => ({
      calls: use.calls + charged.calls,
      tokens: use.tokens + charged.tokens,
      costNanoUsd: use.costNanoUsd + charged.costNanoUsd,
    }),
    { calls: 0, tokens: 0, costNanoUsd: 0 },
  );

const costOf = (input: number, output: number): number =>
  input * price.inputNanoUsdPerToken + output * price.outputNanoUsdPerToken;

/** The most output that the caps leave, by arithmetic of its own; below 0 when not even the prompt fits. */
function roomFor(use: BudgetUse, caps: BudgetCaps, ask: BudgetAsk): number {
  if (caps.calls !== undefined && use.calls >= caps.calls) return -1;
  const byTokens =
    caps.tokens === undefined ? ask.outputTokens : caps.tokens - use.tokens - ask.inputTokens;
  const money =
    caps.costNanoUsd === undefined
      ? Number.POSITIVE_INFINITY
      : caps.costNanoUsd - use.costNanoUsd - costOf(ask.inputTokens, 0);
  const byMoney = money < 0 ? -1 : Math.floor(money / price.outputNanoUsdPerToken);
  return Math.min(ask.outputTokens, byTokens, byMoney);
}

function end(entry: Entry, ending: string, share: number): void {
  const { reservation } = entry;
  const usage = {
    inputTokens: Math.floor((reservation.inputTokens * share) / 100),
    outputTokens: Math.floor((reservation.outputTokens * share) / 100),
  };
  if (ending === "void") reservation.void();
  else reservation.settle(ending === "lose" ? undefined : usage);
  if (!entry.open) return;
  entry.open = false;
  if (ending === "void") entry.charged = { calls: 0, tokens: 0, costNanoUsd: 0 };
  if (ending === "settle") {
    entry.charged = {
      calls: 1,
      tokens: usage.inputTokens + usage.outputTokens,
      costNanoUsd: costOf(usage.inputTokens, usage.outputTokens),
    };
  }
}

export const traceChecks: readonly Check<BudgetHarness>[] = [
  {
    name: "I3 never lets settled and reserved exceed a cap, grants all that fits, and counts exactly, in any interleaving",
    async run(harness) {
      const trace = fc.array(step, { maxLength: 60, size: "max" });
      await fc.assert(
        fc.asyncProperty(anyCaps(harness.leastCap), trace, (caps, steps) =>
          withBudgets(harness, async ({ budgets, use }) => {
            const entries: Entry[] = [];
            const of = (name: string) => sum(entries.filter((entry) => entry.name === name));
            for (const one of steps) {
              if ("ask" in one) {
                const room = roomFor(of(one.name), caps, one.ask);
                const fits = room >= Math.min(one.ask.minOutputTokens, one.ask.outputTokens);
                const reply = await budgets.reserve(one.name, caps, one.ask);
                if (reply === "unavailable") throw new Error("unavailable");
                expect(reply.granted).toBe(fits);
                if (!reply.granted) continue;
                const { inputTokens, outputTokens, costNanoUsd } = reply.reservation;
                expect(outputTokens).toBe(room);
                entries.push({
                  name: one.name,
                  reservation: reply.reservation,
                  charged: { calls: 1, tokens: inputTokens + outputTokens, costNanoUsd },
                  open: true,
                });
              } else if (entries.length > 0) {
                // One of the latest, often one that ended already: its second ending counts nothing.
                const entry = entries[entries.length - 1 - (one.which % entries.length)];
                if (entry !== undefined) end(entry, one.ending, one.share);
              }
              const uses = await Promise.all(
                names.map(async (name) => ({ name, used: await use(name) })),
              );
              for (const { name, used } of uses) {
                expect(used).toEqual(of(name));
                expect(used.calls).toBeLessThanOrEqual(caps.calls ?? Number.POSITIVE_INFINITY);
                expect(used.tokens).toBeLessThanOrEqual(caps.tokens ?? Number.POSITIVE_INFINITY);
                expect(used.costNanoUsd).toBeLessThanOrEqual(
                  caps.costNanoUsd ?? Number.POSITIVE_INFINITY,
                );
              }
            }
          }),
        ),
        { numRuns: harness.traces ?? 150 },
      );
    },
  },
];
