import type { Guard, Outcome } from "@sluice/guard";

interface Job {
  readonly id: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export async function runJob<In extends Job>(
  guard: Guard<In, unknown, unknown, unknown>,
  job: In,
): Promise<Outcome<unknown, unknown, unknown>> {
  // #region
  const run = "2026-11-20";
  const outcome = await guard.run(job, { subject: job.id, attributes: job.metadata, run });
  // #endregion
  return outcome;
}

export function restoreBudget(guard: Guard<never, unknown, unknown, unknown>): void {
  // #region
  guard.budget.restore("2026-11-20", { calls: 41, tokens: 61_200, costNanoUsd: 0 });
  // #endregion
}
