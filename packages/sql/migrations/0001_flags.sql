-- Flags and their audit. Every object of ours is double-quoted by its plain name, and nothing else is.

CREATE TABLE IF NOT EXISTS "feature_state" (
  feature_name text PRIMARY KEY,
  enabled boolean NOT NULL DEFAULT false,
  rollout_percent integer NOT NULL DEFAULT 0 CHECK (rollout_percent BETWEEN 0 AND 100)
);

-- The product may own the table, with the three columns only.
ALTER TABLE "feature_state"
  ADD COLUMN IF NOT EXISTS killed boolean NOT NULL DEFAULT false,
  ADD COLUMN IF NOT EXISTS allowlist text[],
  ADD COLUMN IF NOT EXISTS salt text,
  ADD COLUMN IF NOT EXISTS protected boolean NOT NULL DEFAULT false,
  ADD COLUMN IF NOT EXISTS version bigint NOT NULL DEFAULT 1,
  ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

-- What a name was when its row was deleted: a new row of that name goes on counting, so that no reader
-- takes it for an old one, and stays protected.
CREATE TABLE IF NOT EXISTS "flag_names" (
  feature_name text PRIMARY KEY,
  last_version bigint NOT NULL DEFAULT 0,
  protected boolean NOT NULL DEFAULT false
);

CREATE TABLE IF NOT EXISTS "flag_changes" (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  feature_name text NOT NULL,
  row_version bigint NOT NULL,
  target_enabled boolean NOT NULL,
  target_percent integer NOT NULL CHECK (target_percent BETWEEN 0 AND 100),
  target_killed boolean NOT NULL,
  -- Of allowlist, salt and protected, those that change as well.
  target_others jsonb NOT NULL DEFAULT '{}' CHECK (
    jsonb_typeof(target_others) = 'object' AND target_others - '{allowlist,salt,protected}'::text[] = '{}'
  ),
  reason text NOT NULL CHECK (btrim(reason) <> ''),
  state text NOT NULL DEFAULT 'requested'
    CHECK (state IN ('requested', 'approved', 'rejected', 'applied', 'expired')),
  requested_by text NOT NULL,
  requested_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  approved_by text,
  approved_at timestamptz,
  rejected_by text,
  applied_by text,
  applied_at timestamptz,
  applied_version bigint,
  CHECK (approved_by <> requested_by),
  CHECK (state NOT IN ('approved', 'applied') OR approved_by IS NOT NULL)
);

CREATE UNIQUE INDEX IF NOT EXISTS "flag_changes_open"
  ON "flag_changes" (feature_name) WHERE state IN ('requested', 'approved');
CREATE INDEX IF NOT EXISTS "flag_changes_applied"
  ON "flag_changes" (feature_name, applied_version) WHERE state = 'applied';

CREATE TABLE IF NOT EXISTS "flag_audit" (
  id bigint PRIMARY KEY,
  at timestamptz NOT NULL,
  feature_name text NOT NULL,
  action text NOT NULL CHECK (action IN ('INSERT', 'UPDATE', 'DELETE')),
  old_row jsonb,
  new_row jsonb,
  database_role text NOT NULL,
  application_name text,
  reason text,
  change_id bigint,
  previous_hash bytea NOT NULL,
  hash bytea NOT NULL
);

CREATE INDEX IF NOT EXISTS "flag_audit_feature" ON "flag_audit" (feature_name, id DESC);

-- The end of the chain. Its lock puts the commits that write to the chain in order.
CREATE TABLE IF NOT EXISTS "flag_audit_head" (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  id bigint NOT NULL,
  hash bytea NOT NULL
);

INSERT INTO "flag_audit_head" (id, hash) VALUES (0, '\x') ON CONFLICT DO NOTHING;

REVOKE ALL ON "flag_names", "flag_changes", "flag_audit", "flag_audit_head" FROM PUBLIC;

CREATE OR REPLACE FUNCTION "refuse_statement"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'SL002';
END
$$;

CREATE OR REPLACE TRIGGER "feature_state_kept" BEFORE TRUNCATE ON "feature_state"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_statement"();
CREATE OR REPLACE TRIGGER "flag_names_kept" BEFORE DELETE OR TRUNCATE ON "flag_names"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_statement"();
CREATE OR REPLACE TRIGGER "flag_changes_kept" BEFORE DELETE OR TRUNCATE ON "flag_changes"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_statement"();
CREATE OR REPLACE TRIGGER "flag_audit_kept" BEFORE UPDATE OR DELETE OR TRUNCATE ON "flag_audit"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_statement"();
CREATE OR REPLACE TRIGGER "flag_audit_head_kept" BEFORE DELETE OR TRUNCATE ON "flag_audit_head"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_statement"();

-- A row's flags without columns of the product's own, which may hold anything.
CREATE OR REPLACE FUNCTION "flag_row"(whole jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_object_agg(key, value) FROM jsonb_each(whole) WHERE key IN (
    'feature_name', 'enabled', 'rollout_percent', 'killed', 'allowlist', 'salt', 'protected', 'version',
    'updated_at'
  )
$$;

CREATE OR REPLACE FUNCTION "version_flag_row"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, "public", pg_temp AS $$
DECLARE
  counted constant text[] := '{version,updated_at}';
  renamed boolean := false;
  last bigint := 0;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF "flag_row"(to_jsonb(OLD)) - counted = "flag_row"(to_jsonb(NEW)) - counted THEN
      NEW.version := OLD.version;
      NEW.updated_at := OLD.updated_at;
      RETURN NEW;
    END IF;
    renamed := NEW.feature_name IS DISTINCT FROM OLD.feature_name;
    last := OLD.version;
  END IF;
  IF (TG_OP = 'DELETE' OR renamed) AND OLD.feature_name IS NOT NULL THEN
    INSERT INTO "flag_names" AS names (feature_name, last_version, protected)
    VALUES (OLD.feature_name, OLD.version, OLD.protected)
    ON CONFLICT (feature_name) DO UPDATE
    SET last_version = greatest(names.last_version, excluded.last_version), protected = excluded.protected;
  END IF;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  IF (TG_OP = 'INSERT' OR renamed) AND NEW.feature_name IS NOT NULL THEN
    -- Written, not read, so that an older snapshot fails instead of missing a deletion.
    INSERT INTO "flag_names" AS names (feature_name) VALUES (NEW.feature_name)
    ON CONFLICT (feature_name) DO UPDATE SET feature_name = excluded.feature_name
    RETURNING greatest(names.last_version, last) INTO last;
  END IF;
  NEW.version := last + 1;
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER "feature_state_versioned" BEFORE INSERT OR UPDATE OR DELETE ON "feature_state"
  FOR EACH ROW EXECUTE FUNCTION "version_flag_row"();

CREATE OR REPLACE FUNCTION "record_flag_row"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, "public", pg_temp SET timezone = 'UTC' AS $$
DECLARE
  entry "flag_audit";
  last_id bigint;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    entry.old_row := "flag_row"(to_jsonb(OLD));
  END IF;
  IF TG_OP <> 'DELETE' THEN
    entry.new_row := "flag_row"(to_jsonb(NEW));
  END IF;
  IF entry.old_row = entry.new_row THEN
    RETURN NULL;
  END IF;
  entry.feature_name := coalesce(entry.new_row, entry.old_row) ->> 'feature_name';
  entry.action := TG_OP;
  entry.database_role := session_user;
  entry.application_name := current_setting('application_name');
  entry.reason := nullif(current_setting('sluice.reason', true), '');
  SELECT id INTO entry.change_id FROM "flag_changes"
  WHERE feature_name = entry.feature_name AND state = 'applied'
    AND applied_version = (entry.new_row ->> 'version')::bigint;

  -- Written, not read, so that a head that is gone is made anew under the same lock: a change, which may be
  -- a kill, must not fail for the audit's sake.
  INSERT INTO "flag_audit_head" AS head (id, hash) VALUES (0, '\x00')
  ON CONFLICT (only_row) DO UPDATE SET id = head.id
  RETURNING head.id, head.hash INTO entry.id, entry.previous_hash;
  -- No row links to this hash: where the head is gone or behind the rows, the chain shows a break there.
  SELECT max(audit.id) INTO last_id FROM "flag_audit" AS audit;
  IF last_id > entry.id THEN
    entry.id := last_id;
    entry.previous_hash := '\x00';
  END IF;
  entry.id := entry.id + 1;
  entry.at := clock_timestamp();
  entry.hash := sha256(entry.previous_hash || convert_to(jsonb_build_array(
    entry.id, (extract(epoch FROM entry.at) * 1000000)::bigint, entry.feature_name, entry.action,
    entry.old_row, entry.new_row, entry.database_role, entry.application_name, entry.reason,
    entry.change_id
  )::text, 'UTF8'));
  INSERT INTO "flag_audit" SELECT entry.*;
  UPDATE "flag_audit_head" SET id = entry.id, hash = entry.hash;

  PERFORM pg_notify('sluice_changed', json_build_object(
    'table', 'feature_state',
    'feature', left(entry.feature_name, 200),
    'version', coalesce(entry.new_row, entry.old_row) -> 'version'
  )::text);
  RETURN NULL;
END
$$;

-- At the commit: a transaction that stays open after a change must not keep a kill of another feature
-- waiting for the chain's lock.
DROP TRIGGER IF EXISTS "feature_state_recorded" ON "feature_state";
CREATE CONSTRAINT TRIGGER "feature_state_recorded" AFTER INSERT OR UPDATE OR DELETE ON "feature_state"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "record_flag_row"();
