-- How long the calls of each hour and of each day took, in UTC, counted per provider and bucket, so that a
-- percentile over any range adds up counts instead of reading rows. Written by `rollUpLatency`.
-- A bucket holds latency_ms from gamma ^ (bucket - 1), exclusive, to gamma ^ bucket, with gamma = 1.01 / 0.99:
-- bucket = ceil(ln(latency_ms) / ln(gamma)); 2 * gamma ^ bucket / (gamma + 1) is within 1 % of all in it.
-- -32768 is the bucket of zero.

CREATE TABLE IF NOT EXISTS "latency_hours" (
  hour timestamptz NOT NULL,
  bucket smallint NOT NULL,
  provider text NOT NULL,
  n bigint NOT NULL CHECK (n > 0),
  PRIMARY KEY (hour, provider, bucket)
);

-- The sums of 24 hours each.
CREATE TABLE IF NOT EXISTS "latency_days" (
  day timestamptz NOT NULL,
  bucket smallint NOT NULL,
  provider text NOT NULL,
  n bigint NOT NULL CHECK (n > 0),
  PRIMARY KEY (day, provider, bucket)
);

-- Which of them are counted: also an hour without rows.
CREATE TABLE IF NOT EXISTS "latency_rolled_up" (
  unit text NOT NULL CHECK (unit IN ('hour', 'day')),
  starts_at timestamptz NOT NULL,
  rolled_up_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (unit, starts_at)
);
