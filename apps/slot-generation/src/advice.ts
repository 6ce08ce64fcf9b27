import type { UnfinishedReason } from "./conclude.ts";

/** What changes it, for the reasons that somebody can change. */
const advice: Readonly<Partial<Record<UnfinishedReason, string>>> = {
  FLAG_OFF: "FEATURE_SLOTGEN_AI=true opens the AI path",
  KILLED: "SLOTGEN_AI_KILL is engaged; the AI path stays shut while it is",
  TRIPPED: "an answer broke the contract, so no further job was sent; the next start tries again",
  CIRCUIT_OPEN: "the provider can't be called: no key is set, or too many calls failed",
  BUDGET_CALLS: "--max-calls is used up; a higher one lets the same command go on",
  BUDGET_TOKENS:
    "too little of --max-tokens is left for another call; a higher one lets the same command go on",
  BUDGET_COST:
    "too little of --max-cost-usd is left for another call; a higher one lets the same command go on",
};

/** A line for each reason that has one. */
export function adviceOn(reasons: readonly UnfinishedReason[]): string[] {
  return [...new Set(reasons)].flatMap((reason) => {
    const text = advice[reason];
    return text === undefined ? [] : [`${reason}: ${text}`];
  });
}
