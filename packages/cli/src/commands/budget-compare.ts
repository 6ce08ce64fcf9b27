import type { BudgetUse } from "@sluice/contract";
import type { RecordedUsage } from "@sluice/sql";

/** One figure of a day, by Redis and by the records. */
export interface BudgetFigure {
  readonly figure: keyof BudgetUse;
  /** Of the calls that ended. */
  readonly redis: number;
  readonly records: number;
  /** Redis minus the records. */
  readonly difference: number;
  /** Of the larger one, without its sign. */
  readonly percent: number;
  readonly ok: boolean;
}

/**
 * Compares what Redis settled with what was recorded. A record is of a request, whatever calls it took: of
 * calls it can only be said that there were at least as many as requests that told their usage.
 */
export function compareBudget(
  settled: BudgetUse,
  recorded: RecordedUsage,
  tolerancePercent: number,
): readonly BudgetFigure[] {
  const compare = (
    figure: keyof BudgetUse,
    records: number,
    isBound: "both ways" | "from below",
  ): BudgetFigure => {
    const redis = settled[figure];
    const difference = redis - records;
    const larger = Math.max(Math.abs(redis), Math.abs(records));
    const percent = larger === 0 ? 0 : (Math.abs(difference) / larger) * 100;
    const isMore = isBound === "from below" && difference > 0;
    return {
      figure,
      redis,
      records,
      difference,
      percent: Math.round(percent * 1000) / 1000,
      ok: isMore || percent <= tolerancePercent,
    };
  };
  return [
    compare("calls", recorded.counted, "from below"),
    compare("tokens", recorded.tokens, "both ways"),
    compare("costNanoUsd", recorded.costNanoUsd, "both ways"),
  ];
}
