import type { AdmissionState, BudgetUse, Clock } from "@sluice/contract";
import type { Day } from "@sluice/policy";
import type { AdmissionStoreOptions } from "./bench.ts";
import type { BudgetFault } from "./planted-budget-faults.ts";

interface Now {
  readonly options: AdmissionStoreOptions;
  readonly clock: Clock;
  readonly fault: BudgetFault | undefined;
  readonly tatMs: number;
  readonly leases: readonly { readonly subject: string }[];
  readonly day: Day;
  readonly subject: string;
}

/** How each dimension stands, right but for one planted fault. */
export function plantedStates(
  { options, clock, fault, tatMs, leases, day, subject }: Now,
  useOf: (dimension: "user_budget" | "global_budget") => BudgetUse,
): readonly AdmissionState[] {
  const { userInFlight, globalInFlight, messageRate, userBudget, globalBudget } = options;
  const states: AdmissionState[] = [];
  const user = leases.filter((lease) => lease.subject === subject).length;
  for (const [dimension, places, count] of [
    ["user_in_flight", userInFlight, user],
    ["global_in_flight", globalInFlight, leases.length],
  ] as const) {
    if (places === undefined) continue;
    const { limit, mode = "enforce" } = places;
    states.push({ dimension, mode, limit, remaining: Math.max(0, limit - count), resetMs: 0 });
  }
  if (messageRate !== undefined) {
    const { burst: limit, count, perMs, mode = "enforce" } = messageRate;
    const resetMs = Math.max(0, tatMs - clock.monotonicMs());
    const remaining = Math.floor(limit - (resetMs * count) / perMs);
    states.push({ dimension: "message_rate", mode, limit, remaining, resetMs });
  }
  for (const [dimension, caps] of [
    ["user_budget", userBudget],
    ["global_budget", globalBudget],
  ] as const) {
    if (caps === undefined) continue;
    const { calls, tokens, costNanoUsd, mode = "enforce" } = caps;
    const use = useOf(dimension);
    const [unit, limit, spent] =
      calls !== undefined || fault === "states count calls alone"
        ? (["calls", calls ?? 0, use.calls] as const)
        : tokens !== undefined
          ? (["tokens", tokens, use.tokens] as const)
          : (["nano_usd", costNanoUsd ?? 0, use.costNanoUsd] as const);
    const least = fault === "states go under nothing" ? -Infinity : 0;
    const remaining = Math.max(least, limit - spent);
    const resetMs = fault === "states hide the day's end" ? 0 : day.endsMs - clock.wallMs();
    states.push({ dimension, mode, unit, limit, remaining, resetMs });
  }
  return fault === "states in another order" ? states.toReversed() : states;
}
