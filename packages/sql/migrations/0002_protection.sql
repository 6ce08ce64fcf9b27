-- Protected features: nothing widens without a change that someone else approved.

-- True where NEW lets more through than OLD, or other subjects. A null or out of range value counts as the
-- narrowest before, and as the widest after.
CREATE OR REPLACE FUNCTION "flag_row_widens"(old_row jsonb, new_row jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT
    (new_row -> 'enabled' IS DISTINCT FROM old_row -> 'enabled'
      AND new_row -> 'enabled' IS DISTINCT FROM 'false')
    OR (new_row -> 'rollout_percent' IS DISTINCT FROM old_row -> 'rollout_percent'
      AND coalesce((new_row ->> 'rollout_percent')::numeric, 100) > CASE
        WHEN (old_row ->> 'rollout_percent')::numeric BETWEEN 0 AND 100
        THEN (old_row ->> 'rollout_percent')::numeric ELSE 0 END)
    OR (new_row -> 'killed' IS DISTINCT FROM old_row -> 'killed'
      AND new_row -> 'killed' IS DISTINCT FROM 'true')
    OR (new_row -> 'protected' IS DISTINCT FROM 'true')
    -- Only fewer ids are surely narrower: a guard takes a list as a demand or as an exemption from the
    -- percentage, and null is no opinion.
    OR (new_row -> 'allowlist' IS DISTINCT FROM old_row -> 'allowlist'
      AND NOT (jsonb_typeof(new_row -> 'allowlist') = 'array' AND (new_row -> 'allowlist') <@ CASE
        jsonb_typeof(old_row -> 'allowlist') WHEN 'array' THEN old_row -> 'allowlist' ELSE '[]' END))
    OR coalesce(new_row ->> 'salt', new_row ->> 'feature_name')
      IS DISTINCT FROM coalesce(old_row ->> 'salt', old_row ->> 'feature_name')
$$;

CREATE OR REPLACE FUNCTION "protect_flag_row"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, "public", pg_temp AS $$
DECLARE
  old_row jsonb;
  new_row constant jsonb := "flag_row"(to_jsonb(NEW));
  was_protected boolean := false;
  applied bigint;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    old_row := "flag_row"(to_jsonb(OLD));
  END IF;
  IF TG_OP = 'INSERT' OR NEW.feature_name IS DISTINCT FROM OLD.feature_name THEN
    IF TG_OP = 'UPDATE' AND OLD.protected THEN
      RAISE EXCEPTION 'feature % is protected: it cannot be renamed', OLD.feature_name
        USING ERRCODE = 'SL001';
    END IF;
    SELECT protected INTO was_protected FROM "flag_names" WHERE feature_name = NEW.feature_name;
    IF was_protected AND NEW.protected IS NOT TRUE THEN
      RAISE EXCEPTION 'feature % was protected: its new row must be protected', NEW.feature_name
        USING ERRCODE = 'SL001';
    END IF;
    IF NEW.protected AND NEW.enabled IS NOT FALSE AND NEW.rollout_percent IS DISTINCT FROM 0
      AND NEW.killed IS NOT TRUE
    THEN
      RAISE EXCEPTION 'feature % is protected: its row must begin closed', NEW.feature_name
        USING ERRCODE = 'SL001', HINT = 'Insert it with enabled = false, then request a change.';
    END IF;
    RETURN NULL;
  END IF;

  IF OLD.protected IS NOT TRUE OR NOT "flag_row_widens"(old_row, new_row) THEN
    RETURN NULL;
  END IF;

  -- What the change does not name must not widen along with it.
  UPDATE "flag_changes"
  SET state = 'applied', applied_by = session_user, applied_at = clock_timestamp(),
    applied_version = NEW.version
  WHERE feature_name = NEW.feature_name AND state = 'approved' AND expires_at > clock_timestamp()
    AND approved_by <> requested_by AND row_version = OLD.version
    AND target_enabled = NEW.enabled AND target_percent = NEW.rollout_percent
    AND target_killed = NEW.killed
    AND NOT "flag_row_widens"(
      old_row || jsonb_build_object(
        'enabled', NEW.enabled, 'rollout_percent', NEW.rollout_percent, 'killed', NEW.killed
      ) || (target_others - 'protected'),
      new_row || CASE WHEN target_others ? 'protected' AND target_others -> 'protected' = new_row -> 'protected'
        THEN jsonb_build_object('protected', true) ELSE '{}' END
    )
    AND new_row @> (target_others - 'allowlist')
    AND (NOT target_others ? 'allowlist' OR target_others -> 'allowlist' = new_row -> 'allowlist')
  RETURNING id INTO applied;
  IF applied IS NULL THEN
    RAISE EXCEPTION 'feature % is protected: widening it needs an approved change', NEW.feature_name
      USING ERRCODE = 'SL001', HINT = format(
        'The change must be approved by another role, not be expired, and name version %s and these very values.',
        OLD.version);
  END IF;
  RETURN NULL;
END
$$;

-- After the row is written, so that no other trigger can alter what was judged.
CREATE OR REPLACE TRIGGER "feature_state_protected" AFTER INSERT OR UPDATE ON "feature_state"
  FOR EACH ROW EXECUTE FUNCTION "protect_flag_row"();

-- Who asked and who approved is who is logged in, also for a statement past the functions below.
CREATE OR REPLACE FUNCTION "guard_flag_change"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, "public", pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.state := 'requested';
    NEW.requested_by := session_user;
    NEW.requested_at := clock_timestamp();
    NEW.approved_by := NULL;
    NEW.approved_at := NULL;
    NEW.rejected_by := NULL;
    NEW.applied_by := NULL;
    NEW.applied_at := NULL;
    NEW.applied_version := NULL;
    RETURN NEW;
  END IF;
  IF OLD.state NOT IN ('requested', 'approved') THEN
    RAISE EXCEPTION 'change % is %', OLD.id, OLD.state USING ERRCODE = 'SL003';
  END IF;
  IF (NEW.id, NEW.feature_name, NEW.row_version, NEW.target_enabled, NEW.target_percent,
      NEW.target_killed, NEW.target_others, NEW.reason, NEW.expires_at)
    IS DISTINCT FROM (OLD.id, OLD.feature_name, OLD.row_version, OLD.target_enabled, OLD.target_percent,
      OLD.target_killed, OLD.target_others, OLD.reason, OLD.expires_at)
  THEN
    -- Edited: whoever did it asks anew.
    NEW.state := 'requested';
    NEW.requested_by := session_user;
    NEW.requested_at := clock_timestamp();
    NEW.approved_by := NULL;
    NEW.approved_at := NULL;
    RETURN NEW;
  END IF;
  NEW.requested_by := OLD.requested_by;
  NEW.requested_at := OLD.requested_at;
  IF NEW.state = 'applied' AND OLD.state = 'requested' THEN
    RAISE EXCEPTION 'change % is not approved', OLD.id USING ERRCODE = 'SL003';
  END IF;
  IF NEW.state = 'approved' AND OLD.state = 'requested' THEN
    IF OLD.requested_by = session_user THEN
      RAISE EXCEPTION 'change % must be approved by another role than asked for it', OLD.id
        USING ERRCODE = 'SL003';
    END IF;
    NEW.approved_by := session_user;
    NEW.approved_at := clock_timestamp();
  ELSE
    NEW.approved_by := OLD.approved_by;
    NEW.approved_at := OLD.approved_at;
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER "flag_changes_guarded" BEFORE INSERT OR UPDATE ON "flag_changes"
  FOR EACH ROW EXECUTE FUNCTION "guard_flag_change"();

CREATE OR REPLACE FUNCTION "assert_may_change"() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, "public", pg_temp AS $$
BEGIN
  -- Who may kill only may not ask for more.
  IF NOT has_column_privilege(session_user, '"feature_state"'::regclass, 'enabled', 'UPDATE')
    OR NOT has_column_privilege(session_user, '"feature_state"'::regclass, 'rollout_percent', 'UPDATE')
  THEN
    RAISE EXCEPTION 'role % may not update flags', session_user USING ERRCODE = '42501';
  END IF;
END
$$;

-- Asks to widen a protected feature, from its version as it is now; gives the change's id. An expired or
-- outdated change makes room. target_others may name allowlist, salt and protected.
CREATE OR REPLACE FUNCTION "request_flag_change"(
  feature text, target_enabled boolean, target_percent integer, target_killed boolean, reason text,
  valid_for interval DEFAULT '1 hour', target_others jsonb DEFAULT '{}'
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, "public", pg_temp AS $$
#variable_conflict use_column
DECLARE
  named_version bigint;
  change bigint;
BEGIN
  PERFORM "assert_may_change"();
  IF valid_for IS NULL OR valid_for <= interval '0' OR valid_for > interval '30 days' THEN
    RAISE EXCEPTION 'a change is valid for more than nothing and at most 30 days' USING ERRCODE = '22023';
  END IF;
  -- By number: the product's table may have a column of a parameter's name.
  SELECT version INTO named_version FROM "feature_state" WHERE feature_name = $1;
  IF named_version IS NULL THEN
    RAISE EXCEPTION 'there is no such feature' USING ERRCODE = '22023';
  END IF;
  UPDATE "flag_changes" SET state = 'expired'
  WHERE feature_name = $1 AND state IN ('requested', 'approved')
    AND (expires_at <= clock_timestamp() OR row_version <> named_version);
  INSERT INTO "flag_changes" (feature_name, row_version, target_enabled, target_percent, target_killed,
    target_others, reason, expires_at, requested_by)
  VALUES ($1, named_version, $2, $3, $4, coalesce($7, '{}'), $5, clock_timestamp() + $6, session_user)
  RETURNING id INTO change;
  RETURN change;
EXCEPTION WHEN unique_violation THEN
  RAISE EXCEPTION 'feature % has an open change already', $1 USING ERRCODE = 'SL003';
END
$$;

CREATE OR REPLACE FUNCTION "approve_flag_change"(change bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, "public", pg_temp AS $$
BEGIN
  PERFORM "assert_may_change"();
  UPDATE "flag_changes" SET state = 'approved'
  WHERE id = change AND state = 'requested' AND expires_at > clock_timestamp();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'change % is not open', change USING ERRCODE = 'SL003';
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION "reject_flag_change"(change bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, "public", pg_temp AS $$
BEGIN
  PERFORM "assert_may_change"();
  UPDATE "flag_changes" SET state = 'rejected', rejected_by = session_user
  WHERE id = change AND state IN ('requested', 'approved');
  IF NOT FOUND THEN
    RAISE EXCEPTION 'change % is not open', change USING ERRCODE = 'SL003';
  END IF;
END
$$;
