-- Which processes live, and which versions of the flags each has applied. Written by `sqlInstance`, by the
-- database's clock, and never on the path of a request; nothing is announced of it.

CREATE TABLE IF NOT EXISTS "sluice_instances" (
  instance_id text PRIMARY KEY CHECK (char_length(instance_id) BETWEEN 1 AND 128),
  application_name text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- {"<feature>": {"version": 42, "at": "<when the process had it>"}}, the 1000 that changed last.
  applied jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(applied) = 'object'),
  -- How old the flags were when the row was written; null before they were read first.
  lag_ms double precision CHECK (lag_ms >= 0)
);
