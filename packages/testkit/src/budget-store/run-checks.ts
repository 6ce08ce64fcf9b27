import { Reason } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { nothingUsed, usualAsk, type CreateBudgetStore } from "./bench.ts";
import { openRuns } from "./run-bench.ts";

export const runChecks: readonly Check<CreateBudgetStore>[] = [
  {
    name: "answers at once, without a promise",
    run(create) {
      const { store } = openRuns(create);
      const reply = store.reserve("batch", { calls: 2 }, usualAsk);
      expect(reply).toMatchObject({ granted: true });
      if (reply === "unavailable" || !reply.granted) return;
      expect(reply.reservation.further({ calls: 2 }, usualAsk)).toMatchObject({ granted: true });
      expect(store.use("batch")).toMatchObject({ calls: 2 });
    },
  },
  {
    name: "I14 grants and charges nothing under a cap of nothing",
    run(create) {
      const { store, refusal } = openRuns(create);
      expect(refusal("batch", { calls: 0 })).toBe(Reason.BUDGET_CALLS);
      expect(refusal("batch", { tokens: 0 })).toBe(Reason.BUDGET_TOKENS);
      expect(refusal("batch", { costNanoUsd: 0 })).toBe(Reason.BUDGET_COST);
      expect(store.use("batch")).toEqual(nothingUsed);
    },
  },
  {
    name: "takes a request without a run for a run of its own",
    run(create) {
      const { store, take, refusal } = openRuns(create);
      for (let i = 0; i < 5; i += 1) take(undefined, { calls: 1 });
      expect(refusal(undefined, { calls: 0 })).toBe(Reason.BUDGET_CALLS);
      expect(store.use("undefined")).toEqual(nothingUsed);
      expect(store.use("")).toEqual(nothingUsed);
    },
  },
  {
    name: "holds what is reserved further to its own caps on the same run, with a name or without",
    run(create) {
      for (const run of [undefined, "batch"]) {
        const { take } = openRuns(create);
        const first = take(run, { calls: 2 });
        first.settle({ inputTokens: 100, outputTokens: 10 });
        const second = first.further({ calls: 2, tokens: 10_000 }, usualAsk);
        expect(second).toMatchObject({ granted: true });
        expect(first.further({ calls: 2 }, usualAsk)).toEqual({
          granted: false,
          reason: Reason.BUDGET_CALLS,
        });
        expect(first.further({ tokens: 1000 }, usualAsk)).toEqual({
          granted: false,
          reason: Reason.BUDGET_TOKENS,
        });
        if (second !== "unavailable" && second.granted) second.reservation.void();
        expect(first.further({ calls: 2 }, usualAsk)).toMatchObject({ granted: true });
      }
    },
  },
  {
    name: "goes on with what a run had used before",
    run(create) {
      const { store, take, refusal } = openRuns(create);
      store.restore("batch", { calls: 9, tokens: 5000, costNanoUsd: 1_000_000 });
      expect(store.use("batch")).toEqual({ calls: 9, tokens: 5000, costNanoUsd: 1_000_000 });
      expect(take("batch", { calls: 10, tokens: 5200 }).outputTokens).toBe(100);
      expect(refusal("batch", { calls: 10 })).toBe(Reason.BUDGET_CALLS);
      expect(store.use("other")).toEqual(nothingUsed);
    },
  },
  {
    name: "forgets a run that is over",
    run(create) {
      const { store, take } = openRuns(create);
      take("batch", { calls: 1 }).settle(undefined);
      take("other", { calls: 1 });
      store.end("batch");
      expect(store.use("batch")).toEqual(nothingUsed);
      expect(store.use("other").calls).toBe(1);
      take("batch", { calls: 1 });
    },
  },
  {
    name: "charges and credits nothing to a new run by a reservation of the old one of that name",
    run(create) {
      const { store, take, refusal } = openRuns(create);
      const [settledLate, voidedLate] = [take("batch", {}), take("batch", {})];
      store.end("batch");
      take("batch", { calls: 1 });
      settledLate.settle({ inputTokens: 5, outputTokens: 5 });
      voidedLate.void();
      expect(store.use("batch")).toEqual({ calls: 1, tokens: 900, costNanoUsd: 495_000 });
      expect(refusal("batch", { calls: 1 })).toBe(Reason.BUDGET_CALLS);
    },
  },
  {
    name: "ends and reads a run that it does not know as one that used nothing",
    run(create) {
      const { store } = openRuns(create);
      store.end("never seen");
      expect(store.use("never seen")).toEqual(nothingUsed);
    },
  },
  {
    name: "I3 never forgets a run to make room for others, however many come",
    run(create) {
      const { store, take } = openRuns(create, { maxRuns: 4, runIdleMs: 60_000 });
      take("open", { calls: 1 });
      take("spent", { calls: 1 }).settle(undefined);
      for (let i = 0; i < 100; i += 1) {
        const reply = store.reserve(`stranger-${i}`, { calls: 1 }, usualAsk);
        if (reply !== "unavailable" && reply.granted) reply.reservation.settle(undefined);
      }
      for (const run of ["open", "spent"]) {
        expect(store.use(run).calls, run).toBe(1);
        const reply = store.reserve(run, { calls: 1 }, usualAsk);
        expect(reply !== "unavailable" && reply.granted, run).toBe(false);
      }
    },
  },
  {
    name: "I3 never forgets a run with a reservation that is out, however long it takes",
    run(create) {
      const { store, clock, take, refusal } = openRuns(create, { maxRuns: 2, runIdleMs: 1000 });
      const reservation = take("slow", { calls: 1 });
      for (let i = 0; i < 10; i += 1) {
        clock.advance(5000);
        store.reserve(`stranger-${i}`, { calls: 1 }, usualAsk);
      }
      expect(refusal("slow", { calls: 1 })).toBe(Reason.BUDGET_CALLS);
      reservation.settle({ inputTokens: 10, outputTokens: 10 });
      expect(store.use("slow")).toMatchObject({ calls: 1, tokens: 20 });
    },
  },
  {
    name: "I12 makes room for new runs once others are over or idle",
    run(create) {
      const { store, clock, take } = openRuns(create, { maxRuns: 2, runIdleMs: 1000 });
      take("first", { calls: 1 }).settle(undefined);
      take("second", { calls: 1 }).settle(undefined);
      store.end("first");
      take("third", { calls: 1 }).settle(undefined);
      clock.advance(2000);
      take("fourth", { calls: 1 });
      take("fifth", { calls: 1 });
    },
  },
];
