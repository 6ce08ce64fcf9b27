-- One row per generation: figures and names, never content.
-- Where the product already owns the table, what follows adds only the columns that are missing (nullable,
-- without a default and without a check, so no row is rewritten or scanned) and the indexes.
-- Where it does not, no column of the table made here can hold a body.

CREATE TABLE IF NOT EXISTS "ai_training_examples" (
  -- First what percentiles read of every row: columns behind them need not be looked at.
  created_at timestamptz NOT NULL DEFAULT now(),
  -- Whole milliseconds: a percentile counts rows per value.
  latency_ms integer CHECK (latency_ms >= 0),
  selected_provider text CHECK (length(selected_provider) <= 128),
  request_id text CHECK (length(request_id) <= 128),
  requested_provider text CHECK (length(requested_provider) <= 128),
  route_strategy text CHECK (length(route_strategy) <= 64),
  fallback_provider text CHECK (length(fallback_provider) <= 128),
  fallback_used boolean,
  prompt_template_version text CHECK (length(prompt_template_version) <= 128),
  feature text CHECK (length(feature) <= 64),
  outcome text CHECK (length(outcome) <= 64),
  failure_code text CHECK (length(failure_code) <= 64),
  -- Null where there was no whole answer to judge.
  schema_valid boolean,
  input_tokens bigint CHECK (input_tokens >= 0),
  output_tokens bigint CHECK (output_tokens >= 0),
  cost_nano_usd bigint CHECK (cost_nano_usd >= 0),
  first_content_ms integer CHECK (first_content_ms >= 0),
  -- The declared measures: a number under a short name, or 1 under name.member for a member of an enum.
  metadata jsonb CHECK (
    octet_length(metadata::text) <= 8192
    AND metadata::text
      ~ '^[{]((, )?"[a-z][A-Za-z0-9_]{0,62}([.][A-Za-z0-9_-]{1,64})?": -?[0-9.]+)*[}]$'
  )
);

ALTER TABLE "ai_training_examples"
  ADD COLUMN IF NOT EXISTS request_id text,
  ADD COLUMN IF NOT EXISTS requested_provider text,
  ADD COLUMN IF NOT EXISTS selected_provider text,
  ADD COLUMN IF NOT EXISTS route_strategy text,
  ADD COLUMN IF NOT EXISTS fallback_provider text,
  ADD COLUMN IF NOT EXISTS fallback_used boolean,
  ADD COLUMN IF NOT EXISTS latency_ms integer,
  ADD COLUMN IF NOT EXISTS prompt_template_version text,
  ADD COLUMN IF NOT EXISTS created_at timestamptz,
  ADD COLUMN IF NOT EXISTS feature text,
  ADD COLUMN IF NOT EXISTS outcome text,
  ADD COLUMN IF NOT EXISTS failure_code text,
  ADD COLUMN IF NOT EXISTS schema_valid boolean,
  ADD COLUMN IF NOT EXISTS input_tokens bigint,
  ADD COLUMN IF NOT EXISTS output_tokens bigint,
  ADD COLUMN IF NOT EXISTS cost_nano_usd bigint,
  ADD COLUMN IF NOT EXISTS first_content_ms integer,
  ADD COLUMN IF NOT EXISTS metadata jsonb;

CREATE INDEX IF NOT EXISTS "ai_training_examples_by_provider"
  ON "ai_training_examples" (selected_provider, created_at DESC);
CREATE INDEX IF NOT EXISTS "ai_training_examples_by_request"
  ON "ai_training_examples" (request_id);
CREATE INDEX IF NOT EXISTS "ai_training_examples_by_strategy"
  ON "ai_training_examples" (route_strategy, created_at DESC);
CREATE INDEX IF NOT EXISTS "ai_training_examples_by_time"
  ON "ai_training_examples" USING brin (created_at);
