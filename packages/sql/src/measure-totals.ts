import { emptyLogHistogram, type LogHistogram, parseLogHistogram } from "@sluice/policy";

/** What was reported under the name of one declared measure. */
export interface MeasureTotals {
  /** Of the numbers. */
  readonly sum: number;
  /** How many numbers. */
  readonly count: number;
  readonly histogram: LogHistogram;
  /** How often each member of an enum, `true` and `false` came. */
  readonly members: ReadonlyMap<string, number>;
}

/** By part, then by key. */
export type MeasureParts = Readonly<Record<string, Readonly<Record<string, number>>>>;

export function toMeasure(parts: MeasureParts): MeasureTotals {
  return {
    sum: parts["sums"]?.["sum"] ?? 0,
    count: parts["sums"]?.["count"] ?? 0,
    histogram: toHistogram(parts["histogram"]),
    members: new Map(Object.entries(parts["members"] ?? {})),
  };
}

/** Empty where it has another form, as only a row that is not ours can have. */
export function toHistogram(json: unknown): LogHistogram {
  return parseLogHistogram(json ?? {}) ?? emptyLogHistogram();
}
