import { migrate, type SqlDatabase } from "@sluice/sql";

/** The rows are spread evenly over these seven days. */
export const week = {
  from: new Date("2026-01-05T00:00:00Z"),
  to: new Date("2026-01-12T00:00:00Z"),
};

const rowsAtOnce = 1_000_000;

/**
 * Records of four providers whose latencies are lognormal, always the same. The table is never vacuumed and
 * never analyzed. Its index on provider and time is built after the rows, because that is faster; the two on
 * request and strategy, which no latency is read by, are left out.
 */
export async function generateRecords(db: SqlDatabase, rows: number): Promise<void> {
  await migrate(db);
  await db.exec(`
    ALTER TABLE ai_training_examples SET (autovacuum_enabled = false);
    DROP INDEX ai_training_examples_by_provider, ai_training_examples_by_request,
      ai_training_examples_by_strategy;`);
  for (let first = 0; first < rows; first += rowsAtOnce) {
    await db.query(insertRows, [first, first + rowsAtOnce - 1, rows, week.from, week.to]);
  }
  await db.exec(`CREATE INDEX ai_training_examples_by_provider
    ON ai_training_examples (selected_provider, created_at DESC)`);
}

/** The normal deviate is by Box and Muller; the even ones are hashes of the row's number. */
const insertRows = `
  INSERT INTO ai_training_examples (
    request_id, requested_provider, selected_provider, route_strategy, fallback_used, latency_ms,
    prompt_template_version, created_at, feature, outcome, schema_valid, input_tokens, output_tokens,
    cost_nano_usd, first_content_ms
  )
  SELECT 'request-' || i, 'openai', (ARRAY['openai', 'custom', 'azure', 'local'])[1 + provider],
    'ordered', provider > 0,
    exp(6.5 + 0.3 * provider + 0.7 * sqrt(-2 * ln(one)) * cos(2 * pi() * other))::integer,
    'v1', $4::timestamptz + ($5::timestamptz - $4::timestamptz) * (i / $3::float8),
    'bench', 'SUCCEEDED', true, 500, 200, 100000, 200
  FROM generate_series($1::bigint, $2::bigint) AS i
  CROSS JOIN LATERAL (VALUES (
    (hashint8extended(i, 1) & 3)::integer,
    ((hashint8extended(i, 2) & 4294967295) + 1) / 4294967296.0::float8,
    (hashint8extended(i, 3) & 4294967295) / 4294967296.0::float8
  )) AS even (provider, one, other)`;
