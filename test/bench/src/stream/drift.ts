export interface Sample {
  readonly atMs: number;
  readonly value: number;
}

/** By how much a straight line through the samples rises from the first to the last, in % of their mean. */
export function driftPercent(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number): number =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [meanMs, meanValue] = [mean(({ atMs }) => atMs), mean(({ value }) => value)];
  let [shared, squares] = [0, 0];
  for (const { atMs, value } of samples) {
    shared += (atMs - meanMs) * (value - meanValue);
    squares += (atMs - meanMs) ** 2;
  }
  const lengthMs = (samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0);
  return ((shared / squares) * lengthMs * 100) / meanValue;
}
