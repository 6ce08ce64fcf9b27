import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import type { CreateAdmissionStore } from "./bench.ts";
import { granted, usual, usualTokens, withBudgets } from "./budget-bench.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const tokens = 5000;
const both = { userBudget: { tokens }, globalBudget: { tokens } };
const used = { inputTokens: 60, outputTokens: 30 };
const usedTokens = used.inputTokens + used.outputTokens;

export const budgetDayChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "starts anew with the day, at midnight in its time zone and no earlier",
    run: (create) =>
      withBudgets(
        create,
        { userBudget: { calls: 1 }, globalBudget: { calls: 1 }, timeZone: "Asia/Tokyo" },
        async ({ clock, take, refused }) => {
          // The clock begins at midnight in UTC, nine in the morning in Tokyo.
          await take("ann");
          expect((await refused("ann")).retryAfterMs).toBe(15 * hourMs);
          clock.stepWall(15 * hourMs - 1);
          expect((await refused("ann")).retryAfterMs).toBe(1);
          clock.stepWall(1);
          await take("ann");
          expect((await refused("ann")).retryAfterMs).toBe(dayMs);
        },
      ),
  },
  {
    name: "knows that a day may have 23 hours",
    run: (create) =>
      withBudgets(
        create,
        { globalBudget: { calls: 1 }, timeZone: "Europe/Berlin" },
        async ({ clock, take, refused }) => {
          clock.stepWall(Date.parse("2026-03-29T00:00:00+01:00") - clock.wallMs());
          await take("ann");
          expect((await refused("ann")).retryAfterMs).toBe(23 * hourMs);
        },
      ),
  },
  {
    name: "settles and gives back a reservation on the day on which it was made",
    run: (create) =>
      withBudgets(create, both, async ({ clock, take, tokensLeft }) => {
        const settled = await take("ann");
        const given = await take("ann");
        clock.stepWall(dayMs);
        await take("ann");
        settled.settle(used);
        given.void();
        expect(await tokensLeft("ann")).toBe(tokens - usualTokens);
        clock.stepWall(-dayMs);
        expect(await tokensLeft("ann")).toBe(tokens - usedTokens);
      }),
  },
  {
    name: "finds what a day has used when the clock steps back over midnight, and when it comes again",
    run: (create) =>
      withBudgets(
        create,
        { userBudget: { calls: 1 }, globalBudget: { calls: 1 } },
        async ({ clock, take, refused }) => {
          await take("ann");
          clock.stepWall(dayMs);
          await take("ann");
          for (const stepMs of [0, -dayMs, dayMs, -dayMs, dayMs]) {
            clock.stepWall(stepMs);
            expect((await refused("ann")).violated).toEqual(["user_budget", "global_budget"]);
          }
        },
      ),
  },
  {
    name: "counts a further call to the day on which it is asked for",
    run: (create) =>
      withBudgets(create, both, async ({ clock, take, tokensLeft }) => {
        const first = await take("ann");
        clock.stepWall(dayMs);
        const further = granted(await first.further(usual));
        expect(await tokensLeft("ann")).toBe(tokens - usualTokens);
        further.settle(used);
        expect(await tokensLeft("ann")).toBe(tokens - usedTokens);
        clock.stepWall(-dayMs);
        expect(await tokensLeft("ann")).toBe(tokens - usualTokens);
      }),
  },
];
