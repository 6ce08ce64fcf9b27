import type { BudgetAsk, BudgetCaps, BudgetReservation, BudgetStore } from "@sluice/contract";
import { describeBudgetStore, FakeClock, runBudgets } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { memoryBudgets, type MemoryBudgetsOptions } from "./memory-budgets.ts";

describeBudgetStore(
  "memoryBudgets",
  runBudgets((options, clock) => memoryBudgets({ ...options, clock })),
);

const ask: BudgetAsk = {
  inputTokens: 10,
  outputTokens: 100,
  minOutputTokens: 10,
  price: undefined,
};

function take(store: BudgetStore, run: string, caps: BudgetCaps = {}): BudgetReservation {
  const reply = store.reserve(run, caps, ask);
  if (reply === "unavailable" || !reply.granted) throw new Error("not granted");
  return reply.reservation;
}

const nothing = { calls: 0, tokens: 0, costNanoUsd: 0 };

describe("memoryBudgets", () => {
  it.each([
    [{ maxRuns: 0 }, "memoryBudgets.maxRuns: got 0, expected at least 1"],
    [{ runIdleMs: 5 }, "memoryBudgets.runIdleMs: got 5, expected at least 1000"],
    [{ runs: 5 }, "memoryBudgets.runs: got an unknown option, expected only documented options"],
    [{ clock: {} }, "memoryBudgets.clock: got an object, expected a clock"],
  ])("refuses %j by name", (options, message) => {
    expect(() => memoryBudgets(options as MemoryBudgetsOptions)).toThrow(message);
  });

  it("I14 a run that used nothing takes no room", () => {
    const store = memoryBudgets({ maxRuns: 1 });
    take(store, "voided").void();
    expect(store.reserve("refused", { calls: 0 }, ask)).toMatchObject({ granted: false });
    const reservation = take(store, "used");
    expect(store.reserve("more", {}, ask)).toBe("unavailable");
    reservation.settle(undefined);
    expect(store.reserve("more", {}, ask)).toBe("unavailable");
    expect(store.use("used").calls).toBe(1);
  });

  it("keeps runs of inherited names apart", () => {
    const store = memoryBudgets();
    for (const run of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      expect(store.use(run)).toEqual(nothing);
      take(store, run, { calls: 1 });
      expect(store.reserve(run, { calls: 1 }, ask)).toMatchObject({ granted: false });
    }
  });
});

describe("a run that is restored", () => {
  it.each([
    ["no number", { ...nothing, calls: Number.NaN }, "budget.restore.calls: got NaN"],
    ["null", { ...nothing, tokens: null }, "budget.restore.tokens: got null"],
    ["less than nothing", { ...nothing, tokens: -5 }, "budget.restore.tokens: got -5"],
    ["a part of a nano-dollar", { ...nothing, costNanoUsd: 0.5 }, "budget.restore.costNanoUsd"],
    ["a figure missing", { calls: 1, tokens: 1 }, "budget.restore.costNanoUsd: got nothing"],
  ])("I3 by %s is refused, because it would lift the caps", (_, use, message) => {
    const store = memoryBudgets();
    expect(() => store.restore("run", use as never)).toThrow(message);
    expect(store.use("run")).toEqual(nothing);
  });

  it("I3 is refused where there is no room for it, because it would begin anew later", () => {
    const store = memoryBudgets({ maxRuns: 1, clock: new FakeClock() });
    take(store, "other");
    expect(() => store.restore("run", { ...nothing, calls: 5 })).toThrow(
      /^memoryBudgets\.maxRuns: /,
    );
  });

  it("I3 is refused while calls of it are under way, because they are charged already", () => {
    const store = memoryBudgets();
    const reservation = take(store, "run", { calls: 1 });
    expect(() => store.restore("run", nothing)).toThrow(/^budget\.restore: /);
    expect(store.reserve("run", { calls: 1 }, ask)).toMatchObject({ granted: false });
    reservation.settle(undefined);
    store.restore("run", { ...nothing, calls: 3 });
    expect(store.use("run").calls).toBe(3);
  });
});
