import type { AdmissionAsk, AdmissionState, BudgetCaps, BudgetUse } from "@sluice/contract";
import type { AdmissionLimits } from "./admit.ts";
import { unused } from "./budget-ledger.ts";
import type { DailyBudgets } from "./day-budgets.ts";
import { rateStanding } from "./gcra.ts";

/** What was counted when a request was answered. */
export interface CountsAtAnswer {
  /** In flight. */
  readonly user: number;
  readonly global: number;
  /** The rate's arrival time. */
  readonly tatMs: number;
  readonly nowMs: number;
  /** Of the day; undefined without such a budget. */
  readonly userUse: BudgetUse | undefined;
  readonly globalUse: BudgetUse | undefined;
  readonly dayEndsInMs: number;
}

/** Each dimension that has a limit, as it stood at an answer. */
export function statesAt(
  counts: CountsAtAnswer,
  limits: AdmissionLimits & DailyBudgets,
  modes: AdmissionAsk["modes"],
): readonly AdmissionState[] {
  const { userInFlight, globalInFlight, messageRate, userBudget, globalBudget } = limits;
  const states: AdmissionState[] = [];
  const placesOf = (
    dimension: "user_in_flight" | "global_in_flight",
    places: typeof userInFlight,
    count: number,
  ): void => {
    if (places === undefined) return;
    states.push({
      dimension,
      mode: modes?.[dimension] ?? places.mode,
      limit: places.limit,
      remaining: Math.max(0, places.limit - count),
      // Nothing tells when a place becomes free.
      resetMs: 0,
    });
  };
  const budgetOf = (
    dimension: "user_budget" | "global_budget",
    caps: typeof userBudget,
    use: BudgetUse = unused,
  ): void => {
    if (caps === undefined) return;
    states.push({
      dimension,
      mode: modes?.[dimension] ?? caps.mode,
      ...budgetStanding(caps, use),
      resetMs: Math.max(0, counts.dayEndsInMs),
    });
  };
  placesOf("user_in_flight", userInFlight, counts.user);
  placesOf("global_in_flight", globalInFlight, counts.global);
  if (messageRate !== undefined) {
    states.push({
      dimension: "message_rate",
      mode: modes?.message_rate ?? messageRate.mode,
      limit: messageRate.burst,
      ...rateStanding(counts.tatMs, counts.nowMs, messageRate),
    });
  }
  budgetOf("user_budget", userBudget, counts.userUse);
  budgetOf("global_budget", globalBudget, counts.globalUse);
  return states;
}

const left = (unit: AdmissionState["unit"], limit: number, spent: number) => ({
  unit,
  limit,
  remaining: Math.max(0, limit - spent),
});

/** What is left of a budget, by the first of what it caps. */
export function budgetStanding(
  { calls, tokens, costNanoUsd }: BudgetCaps,
  use: BudgetUse,
): Pick<AdmissionState, "unit" | "limit" | "remaining"> {
  if (calls !== undefined) return left("calls", calls, use.calls);
  if (tokens !== undefined) return left("tokens", tokens, use.tokens);
  return left("nano_usd", costNanoUsd ?? 0, use.costNanoUsd);
}
