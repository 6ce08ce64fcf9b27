import { Reason, type BudgetAsk, type BudgetCaps, type BudgetUse } from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { add, giveBack, reserve, settle, unused, type Reserved } from "./budget-ledger.ts";

const price = { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 };
const ask: BudgetAsk = { inputTokens: 100, outputTokens: 800, minOutputTokens: 50, price };

const usedUp = (part: Partial<BudgetUse>): BudgetUse => ({ ...unused, ...part });

function granted(use: BudgetUse, caps: BudgetCaps, asked: BudgetAsk): Reserved {
  const reply = reserve(use, caps, asked);
  if ("refused" in reply) throw new Error(`refused: ${reply.refused}`);
  return reply.reserved;
}

describe("a reservation", () => {
  it("sets aside the worst case: a call, the prompt, the whole output, and what they cost", () => {
    expect(granted(unused, {}, ask)).toEqual({
      calls: 1,
      inputTokens: 100,
      outputTokens: 800,
      tokens: 900,
      costNanoUsd: 100 * 150 + 800 * 600,
      price,
    });
  });

  it("without caps is never refused", () => {
    const use = usedUp({ calls: 1e9, tokens: 1e12, costNanoUsd: 1e15 });
    expect(granted(use, {}, ask).outputTokens).toBe(800);
  });

  it("takes the last call and is refused the next", () => {
    expect(reserve(usedUp({ calls: 9 }), { calls: 10 }, ask)).toHaveProperty("reserved");
    expect(reserve(usedUp({ calls: 10 }), { calls: 10 }, ask)).toEqual({
      refused: Reason.BUDGET_CALLS,
    });
    expect(reserve(unused, { calls: 0 }, ask)).toEqual({ refused: Reason.BUDGET_CALLS });
  });

  it("lowers the output to the tokens that are left", () => {
    expect(granted(usedUp({ tokens: 700 }), { tokens: 1000 }, ask).outputTokens).toBe(200);
  });

  it("takes the least useful output and is refused one token less", () => {
    expect(granted(usedUp({ tokens: 850 }), { tokens: 1000 }, ask).outputTokens).toBe(50);
    expect(reserve(usedUp({ tokens: 851 }), { tokens: 1000 }, ask)).toEqual({
      refused: Reason.BUDGET_TOKENS,
    });
  });

  it("is refused when the prompt alone is too long", () => {
    expect(reserve(unused, { tokens: 99 }, { ...ask, minOutputTokens: 0 })).toEqual({
      refused: Reason.BUDGET_TOKENS,
    });
  });

  it("lowers the output to the whole tokens that money is left for", () => {
    const caps = { costNanoUsd: 100 * 150 + 200 * 600 + 599 };
    expect(granted(unused, caps, ask)).toMatchObject({
      outputTokens: 200,
      costNanoUsd: 100 * 150 + 200 * 600,
    });
  });

  it("is refused for money when the least useful output can't be paid", () => {
    const caps = { costNanoUsd: 100 * 150 + 50 * 600 };
    expect(granted(unused, caps, ask).outputTokens).toBe(50);
    expect(reserve(usedUp({ costNanoUsd: 1 }), caps, ask)).toEqual({ refused: Reason.BUDGET_COST });
  });

  it("is refused for money when the prompt can't be paid, though output be free", () => {
    const freeOutput = { ...ask, price: { inputNanoUsdPerToken: 10, outputNanoUsdPerToken: 0 } };
    expect(granted(unused, { costNanoUsd: 1000 }, freeOutput).outputTokens).toBe(800);
    expect(reserve(unused, { costNanoUsd: 999 }, freeOutput)).toEqual({
      refused: Reason.BUDGET_COST,
    });
  });

  it("is refused under a cap on money when nobody knows the price", () => {
    const unpriced = { ...ask, price: undefined };
    expect(reserve(unused, { costNanoUsd: 1e12 }, unpriced)).toEqual({
      refused: Reason.BUDGET_COST,
    });
    expect(granted(unused, { calls: 1, tokens: 900 }, unpriced).costNanoUsd).toBe(0);
  });

  it("asks for no more than it wants when the least useful output is more", () => {
    const brief = { ...ask, outputTokens: 10 };
    expect(granted(unused, { tokens: 110 }, brief).outputTokens).toBe(10);
  });

  it("names the call first when several caps refuse", () => {
    const caps = { calls: 0, tokens: 0, costNanoUsd: 0 };
    expect(reserve(unused, caps, ask)).toEqual({ refused: Reason.BUDGET_CALLS });
    expect(reserve(unused, { ...caps, calls: 1 }, ask)).toEqual({ refused: Reason.BUDGET_TOKENS });
  });
});

describe("a settlement", () => {
  const reserved = granted(unused, {}, ask);
  const use = add(unused, reserved);

  it("replaces the worst case by what was used, and keeps the call", () => {
    expect(settle(use, reserved, { inputTokens: 60, outputTokens: 30 })).toEqual({
      calls: 1,
      tokens: 90,
      costNanoUsd: 60 * 150 + 30 * 600,
    });
  });

  it("without usage keeps the whole reservation charged", () => {
    expect(settle(use, reserved, undefined)).toEqual(use);
  });

  it.each([
    { inputTokens: Number.NaN, outputTokens: 1 },
    { inputTokens: 1, outputTokens: Number.NaN },
    { inputTokens: -100_000, outputTokens: 1 },
    { inputTokens: 1, outputTokens: Number.POSITIVE_INFINITY },
    { inputTokens: 0.5, outputTokens: 1 },
    { inputTokens: "1" as unknown as number, outputTokens: 1 },
    {} as { inputTokens: number; outputTokens: number },
  ])("with %j, which counts nothing, keeps the whole reservation charged", (usage) => {
    expect(settle(use, reserved, usage)).toEqual(use);
  });

  it("of more than was reserved is charged as told, and the cap then refuses", () => {
    const caps = { tokens: 900 };
    const over = settle(use, reserved, { inputTokens: 100, outputTokens: 900 });
    expect(over.tokens).toBe(1000);
    expect(reserve(over, caps, ask)).toEqual({ refused: Reason.BUDGET_TOKENS });
  });

  it("is undone by nothing, while a reservation given back leaves no trace", () => {
    expect(giveBack(use, reserved)).toEqual(unused);
  });
});

const cap = (max: number) => fc.option(fc.nat(max), { nil: undefined });

describe("I3 a budget", () => {
  const anyCaps: fc.Arbitrary<BudgetCaps> = fc.record({
    calls: cap(12),
    tokens: cap(3000),
    costNanoUsd: cap(2_000_000),
  });
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("reserve" as const),
      inputTokens: fc.nat(300),
      outputTokens: fc.nat(800),
      minOutputTokens: fc.nat(100),
    }),
    fc.record({
      kind: fc.constantFrom("settle", "lose", "void"),
      which: fc.nat(),
      share: fc.nat(100),
    }),
  );

  it("is never overspent, in any interleaving of reservations and endings", () => {
    fc.assert(
      fc.property(anyCaps, fc.array(step, { maxLength: 60, size: "max" }), (caps, steps) => {
        let use = unused;
        const out: Reserved[] = [];
        for (const one of steps) {
          if ("inputTokens" in one) {
            const reply = reserve(use, caps, { ...one, price });
            if ("refused" in reply) continue;
            out.push(reply.reserved);
            use = add(use, reply.reserved);
          } else {
            const [reserved] = out.splice(one.which % Math.max(1, out.length), 1);
            if (reserved === undefined) continue;
            const real = {
              inputTokens: Math.floor((reserved.inputTokens * one.share) / 100),
              outputTokens: Math.floor((reserved.outputTokens * one.share) / 100),
            };
            if (one.kind === "void") use = giveBack(use, reserved);
            else use = settle(use, reserved, one.kind === "lose" ? undefined : real);
          }
          expect(use.calls).toBeLessThanOrEqual(caps.calls ?? Number.POSITIVE_INFINITY);
          expect(use.tokens).toBeLessThanOrEqual(caps.tokens ?? Number.POSITIVE_INFINITY);
          expect(use.costNanoUsd).toBeLessThanOrEqual(caps.costNanoUsd ?? Number.POSITIVE_INFINITY);
          expect(Math.min(use.calls, use.tokens, use.costNanoUsd)).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("is back where it was when every reservation is given back, in any order", () => {
    const order = fc.array(fc.nat(), { maxLength: 20 });
    fc.assert(
      fc.property(order, (picks) => {
        const out = picks.map((n) => granted(unused, {}, { ...ask, inputTokens: n % 500 }));
        const all = out.reduce<BudgetUse>(add, unused);
        const back = out.toSorted((a, b) => a.inputTokens - b.inputTokens).reduce(giveBack, all);
        expect(back).toEqual(unused);
      }),
    );
  });
});
