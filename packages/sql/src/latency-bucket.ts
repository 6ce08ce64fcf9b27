import { logHistogramGamma } from "@sluice/policy";

/** What is closer to zero counts as zero, and what is farther from it is in the last bucket. */
const smallest = "1e-9";
const largest = "1e15";
/** Of zero; before all others in their order. */
const zeroBucket = -32_768;

/** The bucket of a latency as 0007_latency_hours.sql tells it, in SQL. */
export function bucketInSql(latencyMs: string): string {
  return `(CASE WHEN (${latencyMs})::float8 < ${smallest} THEN ${zeroBucket}
    ELSE ceil(ln(least((${latencyMs})::float8, ${largest})) / ln(1.01::float8 / 0.99))
  END)::smallint`;
}

/** Within 1 % of every latency in the bucket. */
export function latencyOfBucket(bucket: number): number {
  if (bucket === zeroBucket) return 0;
  return (2 * logHistogramGamma ** bucket) / (logHistogramGamma + 1);
}
