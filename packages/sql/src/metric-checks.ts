import type { CheckSample } from "@sluice/contract";

export type CheckEffect = CheckSample["effect"];

/** What a shadow's gates would have said, as it stands among the outcomes. */
export const checkOutcomes: Readonly<Record<CheckEffect, string>> = {
  allow: "WOULD_ALLOW",
  divert: "WOULD_DIVERT",
  reject: "WOULD_REJECT",
};

const effectOf: ReadonlyMap<string, CheckEffect> = new Map(
  (Object.keys(checkOutcomes) as CheckEffect[]).map((effect) => [checkOutcomes[effect], effect]),
);

/** What gates would have said, and how requests ended. */
export function splitChecks(counts: ReadonlyMap<string, number>): {
  readonly checks: ReadonlyMap<CheckEffect, number>;
  readonly outcomes: ReadonlyMap<string, number>;
} {
  const checks = new Map<CheckEffect, number>();
  const outcomes = new Map<string, number>();
  for (const [name, count] of counts) {
    const effect = effectOf.get(name);
    if (effect === undefined) outcomes.set(name, count);
    else checks.set(effect, count);
  }
  return { checks, outcomes };
}
