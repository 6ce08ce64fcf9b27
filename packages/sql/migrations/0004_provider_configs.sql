-- Which providers a guard may call, by environment: `sqlRoutes` reads it live.
-- A change from psql is the whole operator contract:
--   UPDATE ai_provider_configs SET enabled = false WHERE environment = 'prod' AND provider = 'custom';
-- To move the default, take it from the old one before the new one gets it, in one transaction.

CREATE TABLE IF NOT EXISTS "ai_provider_configs" (
  environment text NOT NULL DEFAULT 'prod',
  provider text NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  -- The first choice of its environment.
  is_default boolean NOT NULL DEFAULT false,
  -- Share under the strategy `weighted`; 0 is never drawn.
  weight integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 0 AND 1000000),
  -- Null: the guard's.
  timeout_ms integer CHECK (timeout_ms BETWEEN 1 AND 600000),
  -- Null: the guard's.
  max_retries integer CHECK (max_retries BETWEEN 0 AND 10),
  -- Null: the provider's own.
  model text,
  prompt_template_version text,
  -- The application's own notes; nothing reads it.
  metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
  -- The order in which candidates stand in for each other; then by name.
  position integer NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 1,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (environment, provider),
  -- Names stand in events, headers and lines of logs: one line, nothing hidden.
  CONSTRAINT "provider_config_names" CHECK (
    char_length(environment) BETWEEN 1 AND 128
    AND char_length(provider) BETWEEN 1 AND 128
    AND char_length(model) BETWEEN 1 AND 128
    AND char_length(prompt_template_version) BETWEEN 1 AND 128
    AND concat(environment, provider, model, prompt_template_version)
      !~ '[\u0001-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]'
  )
);

CREATE UNIQUE INDEX IF NOT EXISTS "provider_config_default"
  ON "ai_provider_configs" (environment) WHERE is_default;

CREATE OR REPLACE FUNCTION "provider_config_version"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.version := CASE TG_OP WHEN 'UPDATE' THEN OLD.version + 1 ELSE 1 END;
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END $$;

-- Heard when the change commits, and never on the path of a request.
CREATE OR REPLACE FUNCTION "provider_config_notify"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_notify('sluice_changed', json_build_object('table', TG_TABLE_NAME)::text);
  RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER "provider_config_version"
  BEFORE INSERT OR UPDATE ON "ai_provider_configs"
  FOR EACH ROW EXECUTE FUNCTION "provider_config_version"();

CREATE OR REPLACE TRIGGER "provider_config_notify"
  AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "ai_provider_configs"
  FOR EACH STATEMENT EXECUTE FUNCTION "provider_config_notify"();

-- The same on every database, and again: what stands there stays, another default too.
INSERT INTO "ai_provider_configs" (environment, provider, enabled, is_default, position)
VALUES ('prod', 'openai', true, true, 0), ('prod', 'custom', true, false, 1)
ON CONFLICT DO NOTHING;
