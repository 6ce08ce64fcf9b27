import {
  Reason,
  type BudgetAsk,
  type BudgetCaps,
  type GateMode,
  type Usage,
} from "@sluice/contract";
import type { AdmissionStoreOptions } from "./bench.ts";
import { costOf } from "./budget-bench.ts";

/** What one call is charged with, to each budget that it is charged to. */
export interface ModelCharge {
  readonly subject: string;
  readonly day: number;
  readonly parts: { readonly isUser: boolean; inputTokens: number; outputTokens: number }[];
}

export interface ModelAnswer {
  readonly refused: ReadonlySet<Reason>;
  readonly wouldRefuse: ReadonlySet<Reason>;
  /** What is set aside; undefined for what is refused. */
  readonly charge: ModelCharge | undefined;
  readonly outputTokens: number;
}

/** Where the output that fits is less than the least that is useful, a cap refuses. */
type Room = { readonly outputTokens: number } | { readonly refused: Reason };

/** What the suite expects of budgets, written as plainly as possible: a list of charges, summed up each time. */
export function budgetModel(options: Pick<AdmissionStoreOptions, "userBudget" | "globalBudget">) {
  const charges: ModelCharge[] = [];

  return {
    ask(subject: string, day: number, ask: BudgetAsk): ModelAnswer {
      const told: { isUser: boolean; mode: GateMode; room: Room }[] = [];
      for (const isUser of [true, false]) {
        const caps = isUser ? options.userBudget : options.globalBudget;
        if (caps === undefined) continue;
        const parts = charges
          .filter((charge) => charge.day === day && (!isUser || charge.subject === subject))
          .flatMap((charge) => charge.parts.filter((part) => part.isUser === isUser));
        const { mode = "enforce" } = caps;
        told.push({ isUser, mode, room: roomFor(ask, caps, parts) });
      }
      const reasons = (mode: GateMode): ReadonlySet<Reason> =>
        new Set(
          told.flatMap((one) =>
            one.mode === mode && "refused" in one.room ? [one.room.refused] : [],
          ),
        );
      const refused = reasons("enforce");
      const wouldRefuse = reasons("shadow");
      let { outputTokens } = ask;
      for (const { mode, room } of told) {
        if (mode === "enforce" && "outputTokens" in room) {
          outputTokens = Math.min(outputTokens, room.outputTokens);
        }
      }
      if (refused.size > 0) return { refused, wouldRefuse, charge: undefined, outputTokens };
      const { inputTokens } = ask;
      const parts = told.flatMap(({ isUser, room }) =>
        "refused" in room
          ? []
          : [{ isUser, inputTokens, outputTokens: Math.min(outputTokens, room.outputTokens) }],
      );
      const charge = { subject, day, parts };
      charges.push(charge);
      return { refused, wouldRefuse, charge, outputTokens };
    },
    settle(charge: ModelCharge, inputTokens: number, outputTokens: number): void {
      for (const part of charge.parts) Object.assign(part, { inputTokens, outputTokens });
    },
    void(charge: ModelCharge): void {
      charge.parts.length = 0;
    },
  };
}

/** What one budget has room for, beside what is charged to it. */
function roomFor(
  { inputTokens, outputTokens, minOutputTokens, price }: BudgetAsk,
  { calls, tokens, costNanoUsd }: BudgetCaps,
  parts: readonly Usage[],
): Room {
  const least = Math.min(outputTokens, minOutputTokens);
  if (calls !== undefined && parts.length >= calls) return { refused: Reason.BUDGET_CALLS };
  const usedTokens = parts.reduce((sum, part) => sum + part.inputTokens + part.outputTokens, 0);
  let fits = Math.min(outputTokens, (tokens ?? Infinity) - usedTokens - inputTokens);
  if (fits < least) return { refused: Reason.BUDGET_TOKENS };
  if (costNanoUsd === undefined) return { outputTokens: fits };
  const spent = parts.reduce((sum, part) => sum + costOf(part), 0);
  const money = costNanoUsd - spent - costOf({ inputTokens, outputTokens: 0 });
  const perToken = price?.outputNanoUsdPerToken ?? Infinity;
  fits = Math.min(fits, Math.floor(money / perToken));
  return money < 0 || fits < least ? { refused: Reason.BUDGET_COST } : { outputTokens: fits };
}
