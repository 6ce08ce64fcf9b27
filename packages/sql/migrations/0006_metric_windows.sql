-- Figures of requests, per 10 seconds: one row for each feature, arm and provider of each process. A process
-- writes its own rows and nobody else's, always whole; to read them, sum over instances and parts.
-- No column can hold a body: each key is of a closed pattern, and what is behind it is a number.
-- Rows stay until they are deleted: DELETE ... WHERE window_start < now() - interval '30 days'.

CREATE TABLE IF NOT EXISTS "metric_windows" (
  window_start timestamptz NOT NULL CHECK (extract(epoch FROM window_start) % 10 = 0),
  feature text NOT NULL CHECK (feature ~ '^[a-z][a-z0-9_]{0,62}$'),
  -- What a request was assigned to, which is not always who answered it.
  arm text NOT NULL CHECK (arm IN ('ai', 'stub', 'legacy', 'shadow', 'none')),
  -- The route's first choice; empty where no provider was called.
  provider text NOT NULL DEFAULT ''
    CHECK (char_length(provider) <= 128 AND provider !~ '[[:cntrl:]]'),
  instance_id text NOT NULL
    CHECK (char_length(instance_id) BETWEEN 1 AND 128 AND instance_id !~ '[[:cntrl:]]'),
  -- Goes up where the wall clock of a process stepped back into a window that it had left.
  part smallint NOT NULL DEFAULT 0 CHECK (part >= 0),

  -- {SUCCEEDED: 12, STUBBED: 3}, as all counts: an object of keys and numbers.
  outcomes jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(outcomes::text) <= 8192
    AND outcomes::text ~ '^[{]((, )?"[A-Z][A-Z0-9_]{0,62}": [0-9]+)*[}]$'),
  -- By failure code.
  failures jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(failures::text) <= 8192
    AND failures::text ~ '^[{]((, )?"[A-Z][A-Z0-9_]{0,62}": [0-9]+)*[}]$'),
  -- Why requests were diverted or rejected.
  reasons jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(reasons::text) <= 8192
    AND reasons::text ~ '^[{]((, )?"[A-Z][A-Z0-9_]{0,62}": [0-9]+)*[}]$'),
  -- {allow: 15, reject.USER_IN_FLIGHT: 1, would_reject.MESSAGE_RATE: 2}
  admission jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(admission::text) <= 8192
    AND admission::text ~ '^[{]((, )?"[a-z_]{1,32}([.][A-Z][A-Z0-9_]{0,62})?": [0-9]+)*[}]$'),
  -- By the status that the client was sent, whoever decided it.
  http jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(http::text) <= 16384
    AND http::text ~ '^[{]((, )?"[1-5][0-9][0-9]": [0-9]+)*[}]$'),

  -- Log-histograms: {p231: 4} are 4 values x with 231 = ceil(ln(x) / ln(1.01 / 0.99)), so each of them is
  -- within 1 % of 2 * (1.01 / 0.99) ^ 231 / (1.01 / 0.99 + 1). n231 is the same of negative values, z is zero.
  latency_ms jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(latency_ms::text) <= 262144
    AND latency_ms::text ~ '^[{]((, )?"(z|[np]-?[0-9]{1,4})": [0-9]+)*[}]$'),
  first_content_ms jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(first_content_ms::text) <= 262144
    AND first_content_ms::text ~ '^[{]((, )?"(z|[np]-?[0-9]{1,4})": [0-9]+)*[}]$'),
  -- How long each tool call waited.
  queue_ms jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(queue_ms::text) <= 262144
    AND queue_ms::text ~ '^[{]((, )?"(z|[np]-?[0-9]{1,4})": [0-9]+)*[}]$'),

  fallbacks bigint NOT NULL DEFAULT 0 CHECK (fallbacks >= 0),
  input_tokens bigint NOT NULL DEFAULT 0 CHECK (input_tokens >= 0),
  output_tokens bigint NOT NULL DEFAULT 0 CHECK (output_tokens >= 0),
  cost_nano_usd bigint NOT NULL DEFAULT 0 CHECK (cost_nano_usd >= 0),
  -- For how long of the window the provider's circuit was not closed.
  circuit_open_ms double precision NOT NULL DEFAULT 0 CHECK (circuit_open_ms >= 0),

  -- The declared measures: {score: {sum: 7.5, count: 10, histogram: {p-15: 10}}} of numbers,
  -- {tone: {members: {warm: 3}}} of booleans and enums. The size is what 32 full histograms take.
  measures jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(measures::text) <= 8388608
    AND measures::text ~ ('^[{]((, )?"[a-z][A-Za-z0-9_]{0,62}": [{]'
      || '((, )?"(sum|count)": -?[0-9.]+)*'
      || '((, )?"(members)": [{]((, )?"[A-Za-z0-9_-]{1,64}": [0-9]+)*[}])?'
      || '((, )?"(histogram)": [{]((, )?"(z|[np]-?[0-9]{1,4})": [0-9]+)*[}])?'
      || '[}])*[}]$')),

  written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Begins with the time, so that a range of time needs no index of its own.
  PRIMARY KEY (window_start, feature, arm, provider, instance_id, part)
);
