import type { BudgetAsk, BudgetCaps, BudgetReservation, BudgetUse } from "@sluice/contract";
import * as fc from "fast-check";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { openBench, price, type CreateBudgetStore } from "./bench.ts";

const runs = ["a", "b"] as const;

const cap = (max: number) => fc.option(fc.nat(max), { nil: undefined });
const anyCaps: fc.Arbitrary<BudgetCaps> = fc.record({
  calls: cap(15),
  tokens: cap(5000),
  costNanoUsd: cap(2_000_000),
});

const step = fc.oneof(
  fc.record({
    run: fc.constantFrom(...runs),
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
  readonly run: string;
  readonly reservation: BudgetReservation;
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

export const traceChecks: readonly Check<CreateBudgetStore>[] = [
  {
    name: "I3 never lets settled and reserved exceed a cap, grants all that fits, and counts exactly, in any interleaving",
    run(create) {
      fc.assert(
        fc.property(anyCaps, fc.array(step, { maxLength: 60, size: "max" }), (caps, steps) => {
          const { store } = openBench(create);
          const entries: Entry[] = [];
          for (const one of steps) {
            if ("ask" in one) {
              const mine = entries.filter(({ run }) => run === one.run);
              const room = roomFor(sum(mine), caps, one.ask);
              const fits = room >= Math.min(one.ask.minOutputTokens, one.ask.outputTokens);
              const reply = store.reserve(one.run, caps, one.ask);
              if (reply === "unavailable") throw new Error("unavailable");
              expect(reply.granted).toBe(fits);
              if (!reply.granted) continue;
              const { inputTokens, outputTokens, costNanoUsd } = reply.reservation;
              expect(outputTokens).toBe(room);
              entries.push({
                run: one.run,
                reservation: reply.reservation,
                charged: { calls: 1, tokens: inputTokens + outputTokens, costNanoUsd },
                open: true,
              });
            } else if (entries.length > 0) {
              // One of the latest, often one that ended already: its second ending counts nothing.
              const entry = entries[entries.length - 1 - (one.which % entries.length)];
              if (entry !== undefined) end(entry, one.ending, one.share);
            }
            for (const run of runs) {
              const use = store.use(run);
              expect(use).toEqual(sum(entries.filter((entry) => entry.run === run)));
              expect(use.calls).toBeLessThanOrEqual(caps.calls ?? Number.POSITIVE_INFINITY);
              expect(use.tokens).toBeLessThanOrEqual(caps.tokens ?? Number.POSITIVE_INFINITY);
              expect(use.costNanoUsd).toBeLessThanOrEqual(
                caps.costNanoUsd ?? Number.POSITIVE_INFINITY,
              );
            }
          }
        }),
        { numRuns: 150 },
      );
    },
  },
];
