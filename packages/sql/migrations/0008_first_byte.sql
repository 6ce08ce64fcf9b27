-- How long clients waited for the status line, per 10 seconds: a log-histogram as latency_ms is.
ALTER TABLE "metric_windows" ADD COLUMN IF NOT EXISTS first_byte_ms jsonb NOT NULL DEFAULT '{}'
  CHECK (octet_length(first_byte_ms::text) <= 262144
    AND first_byte_ms::text ~ '^[{]((, )?"(z|[np]-?[0-9]{1,4})": [0-9]+)*[}]$');
