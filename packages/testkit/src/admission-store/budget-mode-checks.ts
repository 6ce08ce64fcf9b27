import { Reason, type AdmissionReply, type GateMode } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { withStore, type CreateAdmissionStore } from "./bench.ts";
import { callOf, costOf, granted, usual, usualTokens, withBudgets } from "./budget-bench.ts";

/** Each budget, with room for the usual call once, by each cap. */
const onceEach = (mode: GateMode) =>
  (["userBudget", "globalBudget"] as const).flatMap((option) =>
    (
      [
        [Reason.BUDGET_CALLS, { calls: 1 }],
        [Reason.BUDGET_TOKENS, { tokens: usualTokens }],
        [Reason.BUDGET_COST, { costNanoUsd: costOf(usual) }],
      ] as const
    ).map(([reason, caps]) => [reason, { [option]: { ...caps, mode } }] as const),
  );

const tokensOf = (mode: GateMode, tokens: number) => ({ globalBudget: { tokens, mode } });

const remaining = (reply: AdmissionReply): number | undefined =>
  reply.states?.find(({ dimension }) => dimension === "global_budget")?.remaining;

export const budgetModeChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "refuses nothing by a budget in shadow, nor lowers an output, and names what it would have refused",
    async run(create) {
      for (const [reason, options] of onceEach("shadow")) {
        await withBudgets(create, options, async ({ admitted }) => {
          expect(await admitted("ann", callOf())).toMatchObject({ wouldRefuse: [] });
          for (let i = 0; i < 3; i += 1) {
            const reply = await admitted("ann", callOf());
            expect(reply.wouldRefuse, reason).toEqual([reason]);
            expect(reply.reservation?.outputTokens).toBe(usual.outputTokens);
          }
        });
      }
      await withBudgets(create, tokensOf("shadow", 300), async ({ take }) => {
        expect((await take("ann")).outputTokens).toBe(usual.outputTokens);
      });
    },
  },
  {
    name: "does not charge a budget in shadow with what it would have refused, nor beyond its cap",
    run: (create) =>
      withBudgets(create, tokensOf("shadow", usualTokens + 120), async ({ admitted }) => {
        const first = await admitted("ann", callOf());
        for (let i = 0; i < 3; i += 1) {
          const reply = await admitted("ann", callOf());
          expect(reply.wouldRefuse).toEqual([Reason.BUDGET_TOKENS]);
          expect(remaining(reply)).toBe(120);
          // What was not charged can't be given back either.
          if (i === 0) reply.reservation?.void();
          if (i === 1) reply.reservation?.settle({ inputTokens: 1, outputTokens: 1 });
        }
        const fits = await admitted("ann", callOf({ inputTokens: 20 }));
        expect(fits.wouldRefuse).toEqual([]);
        expect(remaining(fits)).toBe(0);
        fits.reservation?.void();
        first.reservation?.void();
        expect((await admitted("ann", callOf())).wouldRefuse).toEqual([]);
      }),
  },
  {
    name: "charges a further call to a budget in shadow only where it would not have refused it",
    run: (create) =>
      withBudgets(create, tokensOf("shadow", usualTokens + 160), async ({ take, admitted }) => {
        const first = await take("ann");
        const { outputTokens } = granted(
          await first.further({ ...usual, minOutputTokens: usual.outputTokens }),
        );
        expect(outputTokens).toBe(usual.outputTokens);
        const small = { ...usual, inputTokens: 10, outputTokens: 50 };
        granted(await first.further(small));
        const last = { inputTokens: 0, outputTokens: 100, minOutputTokens: 100 };
        expect((await admitted("ann", callOf(last))).wouldRefuse).toEqual([]);
        expect((await admitted("ann", callOf(last))).wouldRefuse).toEqual([Reason.BUDGET_TOKENS]);
      }),
  },
  {
    name: "neither refuses, lowers nor names anything by a budget that is off",
    async run(create) {
      for (const [reason, options] of onceEach("off")) {
        await withBudgets(create, options, async ({ admitted }) => {
          for (let i = 0; i < 3; i += 1) {
            const reply = await admitted("ann", callOf());
            expect(reply.wouldRefuse, reason).toEqual([]);
            expect(reply.reservation?.outputTokens).toBe(usual.outputTokens);
          }
        });
      }
    },
  },
  {
    name: "refuses by a budget in force while another is in shadow, and names both",
    run: (create) =>
      withBudgets(
        create,
        { userBudget: { calls: 1, mode: "shadow" }, globalBudget: { tokens: 2 * usualTokens } },
        async ({ take, refused }) => {
          await take("ann");
          await take("ann");
          expect(await refused("ann")).toMatchObject({
            reason: Reason.BUDGET_TOKENS,
            violated: ["global_budget"],
            wouldRefuse: [Reason.BUDGET_CALLS],
          });
        },
      ),
  },
  {
    name: "takes the modes that a request brings in place of its own, for its further calls too",
    async run(create) {
      const full = usualTokens;
      for (const its of ["enforce", "shadow", "off"] as const) {
        await withBudgets(create, tokensOf(its, full), async ({ take, ask }) => {
          const first = await take("ann", {}, { global_budget: "enforce" });
          expect(await first.further(usual)).toMatchObject({ reason: Reason.BUDGET_TOKENS });
          for (const [mode, admitted, wouldRefuse] of [
            ["enforce", false, []],
            ["shadow", true, [Reason.BUDGET_TOKENS]],
            ["off", true, []],
          ] as const) {
            const reply = await ask("ann", { ...callOf(), modes: { global_budget: mode } });
            expect(reply, `${its}, ${mode}`).toMatchObject({ admitted, wouldRefuse });
            if (!reply.admitted || reply.reservation === undefined) continue;
            expect(granted(await reply.reservation.further(usual)).outputTokens).toBe(800);
          }
        });
      }
    },
  },
  {
    name: "enforces a budget whose mode was not given",
    run: (create) =>
      withBudgets(create, { globalBudget: { calls: 1 } }, async ({ take, refused }) => {
        await take("ann");
        await refused("ann");
      }),
  },
  {
    name: "says whether it counts budgets, and whether one of them is of money",
    async run(create) {
      const told = [
        [{}, false, false],
        [{ userBudget: { calls: 1 } }, true, false],
        [{ globalBudget: { tokens: 1 } }, true, false],
        [{ userBudget: { calls: 1, costNanoUsd: 1 } }, true, true],
        [{ globalBudget: { costNanoUsd: 1 } }, true, true],
      ] as const;
      for (const [options, counts, countsCost] of told) {
        await withStore(create, { leaseMs: 1000, ...options }, async ({ store }) => {
          expect(store.countsBudgets ?? false, JSON.stringify(options)).toBe(counts);
          expect(store.countsCost ?? false, JSON.stringify(options)).toBe(countsCost);
          await Promise.resolve();
        });
      }
    },
  },
  {
    name: "describes each budget in one plain line",
    run: (create) =>
      withBudgets(
        create,
        {
          userBudget: { calls: 61, mode: "shadow" },
          globalBudget: { tokens: 67, costNanoUsd: 71 },
          timeZone: "Asia/Tokyo",
        },
        async ({ store }) => {
          const lines = store.describe();
          for (const words of [/61.*Asia\/Tokyo.*shadow/, /67.*71.*Asia\/Tokyo.*enforce/]) {
            const telling = lines.filter((line) => words.test(line) && !line.includes("\n"));
            expect(telling).toHaveLength(1);
          }
          await Promise.resolve();
        },
      ),
  },
];
