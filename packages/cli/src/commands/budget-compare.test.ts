import { expect, it } from "vitest";
import { compareBudget } from "./budget-compare.ts";

const recorded = {
  features: ["faq_ai"],
  counted: 100,
  uncounted: 0,
  tokens: 10_000,
  costNanoUsd: 5_000_000,
};
const settled = { calls: 100, tokens: 10_000, costNanoUsd: 5_000_000 };

const wrongOf = (...given: Parameters<typeof compareBudget>): readonly string[] =>
  compareBudget(...given)
    .filter(({ ok }) => !ok)
    .map(({ figure }) => figure);

it("what is equal is equal at any tolerance, also where nothing was used", () => {
  expect(wrongOf(settled, recorded, 0)).toEqual([]);
  const nothing = { calls: 0, tokens: 0, costNanoUsd: 0 };
  const none = { ...recorded, counted: 0, tokens: 0, costNanoUsd: 0 };
  expect(compareBudget(nothing, none, 0)).toEqual(
    ["calls", "tokens", "costNanoUsd"].map((figure) => ({
      figure,
      redis: 0,
      records: 0,
      difference: 0,
      percent: 0,
      ok: true,
    })),
  );
});

it("a difference is told with its sign, and in percent of the larger figure", () => {
  expect(compareBudget({ ...settled, tokens: 8000 }, recorded, 1)[1]).toEqual({
    figure: "tokens",
    redis: 8000,
    records: 10_000,
    difference: -2000,
    percent: 20,
    ok: false,
  });
  expect(compareBudget({ ...settled, costNanoUsd: 6_000_000 }, recorded, 1)[2]).toMatchObject({
    difference: 1_000_000,
    percent: 16.667,
    ok: false,
  });
});

it("tokens and cost are held to the tolerance both ways, to the very bound", () => {
  for (const tokens of [9900, 10_000]) {
    expect(wrongOf({ ...settled, tokens }, recorded, 1)).toEqual([]);
  }
  expect(wrongOf({ ...settled, tokens: 9899 }, recorded, 1)).toEqual(["tokens"]);
  expect(wrongOf({ ...settled, tokens: 10_102 }, recorded, 1)).toEqual(["tokens"]);
  expect(wrongOf({ ...settled, costNanoUsd: 0 }, recorded, 99.999)).toEqual(["costNanoUsd"]);
});

it("a request may take many calls, and none takes less than one", () => {
  expect(wrongOf({ ...settled, calls: 300 }, recorded, 0)).toEqual([]);
  expect(wrongOf({ ...settled, calls: 99 }, recorded, 1)).toEqual([]);
  expect(wrongOf({ ...settled, calls: 98 }, recorded, 1)).toEqual(["calls"]);
});

it("one that is below zero, as in a budget that was lost and settled after, differs", () => {
  expect(wrongOf({ calls: -1, tokens: -700, costNanoUsd: 0 }, recorded, 99)).toEqual([
    "calls",
    "tokens",
    "costNanoUsd",
  ]);
});
