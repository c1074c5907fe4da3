-- Who may what. Everything of the schema belongs to modeldb_owner, which is not a superuser, cannot log in and has no
-- members: a SECURITY DEFINER function runs with its rights and no more, and nobody but a superuser can replace what
-- superusers call. Applied last at every installation; a privilege granted by hand on modeldb's own objects is taken
-- back here. Only what has another owner is altered: the lock that it takes would stop every prediction until COMMIT.

DO $$
DECLARE
    others CONSTANT text :=
        'PUBLIC, modeldb_admin, modeldb_publisher, modeldb_user, modeldb_worker, modeldb_cron';
    of_cron CONSTANT text[] := ARRAY['_cron_serves', '_cron_schedule', '_cron_unschedule', '_cron_forget'];
    owner text;
    object record;
BEGIN
    IF (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'modeldb') <> 'modeldb_owner'::regrole THEN
        ALTER SCHEMA modeldb OWNER TO modeldb_owner;
    END IF;
    IF (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'modeldb_scorers') <> 'modeldb_owner'::regrole THEN
        ALTER SCHEMA modeldb_scorers OWNER TO modeldb_owner;
    END IF;
    FOR object IN
        SELECT c.oid::regclass::text AS name, c.relowner AS owner,
            CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
        FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'modeldb'::regnamespace AND c.relkind IN ('r', 'v', 'S')
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass
                AND d.objid = c.oid AND d.deptype = 'i')  -- an identity's sequence goes with its table
    LOOP
        IF object.owner <> 'modeldb_owner'::regrole THEN
            EXECUTE pg_catalog.format('ALTER %s %s OWNER TO modeldb_owner', object.kind, object.name);
        END IF;
        EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %s', object.name, others);
    END LOOP;
    FOR object IN
        SELECT p.oid::regprocedure::text AS name, p.proowner AS owner, p.proname
        FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'modeldb'::regnamespace
    LOOP
        owner := CASE WHEN object.proname = ANY (of_cron) THEN 'modeldb_cron' ELSE 'modeldb_owner' END;
        IF object.owner <> owner::regrole THEN
            EXECUTE pg_catalog.format('ALTER FUNCTION %s OWNER TO %I', object.name, owner);
        END IF;
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %s', object.name, others);
    END LOOP;
END
$$;

LOCK TABLE modeldb.scorer IN SHARE UPDATE EXCLUSIVE MODE;  -- attach_scorer() does, and changes that schema's privileges
REVOKE ALL ON SCHEMA modeldb FROM PUBLIC;
REVOKE ALL ON SCHEMA modeldb_scorers FROM PUBLIC, modeldb_user;
GRANT modeldb_user TO modeldb_publisher;
GRANT modeldb_publisher TO modeldb_admin;

-- modeldb_user predicts and reads the registry, but neither weights nor smoke rows.
GRANT USAGE ON SCHEMA modeldb TO modeldb_user;
GRANT SELECT ON
    modeldb.models, modeldb.versions, modeldb.aliases, modeldb.alias_history, modeldb.publication, modeldb.settings,
    modeldb.artifact, modeldb.model, modeldb.model_version, modeldb.alias, modeldb.model_setting,
    modeldb.alembic_version
    TO modeldb_user;
GRANT EXECUTE ON FUNCTION
    modeldb._epoch(), modeldb._python(), modeldb._load(text), modeldb._route(text), modeldb._parse(text),
    modeldb._nearest(text, text[]), modeldb._raise_unknown_model(text),
    modeldb._raise_unknown_version(text, integer), modeldb._raise_unknown_alias(text, text),
    modeldb._predict(text, bytea, bigint), modeldb._predict_label(text, bytea, bigint),
    modeldb._predict_proba(text, bytea, bigint), modeldb._predict_proba(text, bytea, bigint, text),
    modeldb._predict_json(text, bytea, bigint), modeldb._predict_rows(text, bytea, bigint),
    modeldb.predict(text, anyelement), modeldb.predict(text, text),
    modeldb.predict_label(text, anyelement), modeldb.predict_label(text, text),
    modeldb.predict_proba(text, anyelement), modeldb.predict_proba(text, text),
    modeldb.predict_proba(text, anyelement, text), modeldb.predict_proba(text, text, text),
    modeldb.predict_json(text, anyelement), modeldb.predict_json(text, text),
    modeldb.describe(text), modeldb.cache()
    TO modeldb_user;

-- Batch predictions: whoever predicts may have them made of what that role can read.
GRANT SELECT ON
    modeldb.predictions, modeldb.prediction_set, modeldb.prediction_schedule, modeldb.batch_runs, modeldb.score_job
    TO modeldb_user;
GRANT EXECUTE ON FUNCTION
    modeldb._open(text), modeldb._next(refcursor, integer), modeldb._close(refcursor), modeldb._memory(float8[]),
    modeldb._numbers(bytea, integer), modeldb._fail(json),
    modeldb._score(text, text, text[], integer, text, text, boolean),
    modeldb._score_stored(text), modeldb._score_set(text),
    modeldb._score_statement(text, text, text[], text[], text, text, text),
    modeldb._create_predictions(text, text, text, text[], text[], text, text, boolean, text),
    modeldb._register_predictions(
        text, text, text, boolean, text, text[], text[], text[], text, text, boolean, text),
    modeldb._path(text), modeldb._relation(text), modeldb._predictions(text),
    modeldb._raise_unknown_predictions(text), modeldb._check_owner(text), modeldb._owner(text), modeldb._shown_by(text, text),
    modeldb._check_unrestricted(), modeldb._who(),
    modeldb._refresh(text, boolean, text, boolean),
    modeldb.create_predictions(text, text, text, text, text[], text, text, boolean, text),
    modeldb.create_predictions(text, text, text, text[], text[], text, text, boolean, text),
    modeldb.refresh_predictions(text, boolean),
    modeldb._source(text), modeldb.predict_batch(text, text, text, text, text),
    modeldb._forget_predictions(text), modeldb._drop_predictions(text, boolean), modeldb.drop_predictions(text, boolean),
    modeldb._describe_predictions(text), modeldb.describe_predictions(text)
    TO modeldb_user;

-- modeldb score: each of these asks whether the caller has the rights of the target's owner.
GRANT EXECUTE ON FUNCTION
    modeldb._score_begin(oid, text, text, integer, text[], text[], text, text), modeldb._score_snapshot(oid, pg_snapshot),
    modeldb._score_end(oid, timestamptz, bigint, bigint, text, text)
    TO modeldb_user;

-- Schedules: modeldb_user makes them for predictions that it owns; modeldb_worker and pg_cron run what is due, no more.
GRANT EXECUTE ON FUNCTION
    modeldb.schedule_predictions(text, text), modeldb.unschedule_predictions(text),
    modeldb._schedule(text, text), modeldb._unschedule(text), modeldb._cron_ready(), modeldb._cron_at_work()
    TO modeldb_user;
GRANT USAGE ON SCHEMA modeldb TO modeldb_worker;
GRANT EXECUTE ON FUNCTION
    modeldb._run_scheduled(text, text), modeldb._due(), modeldb._attempt(text), modeldb._take_back_attempt(text),
    modeldb._fail_scheduled(text, text, text, text)
    TO modeldb_worker;
GRANT modeldb_worker TO modeldb_cron;
GRANT EXECUTE ON FUNCTION modeldb._cron_ready(), modeldb._cron_job(text), modeldb._cron_command(text) TO modeldb_cron;
GRANT EXECUTE ON FUNCTION
    modeldb._cron_serves(text), modeldb._cron_schedule(text, text), modeldb._cron_unschedule(text),
    modeldb._cron_forget()
    TO modeldb_owner;

-- An error may tell values of rows: only the owner of what was scored, and administrators, see the runs.
DROP POLICY IF EXISTS owners ON modeldb.batch_runs;
CREATE POLICY owners ON modeldb.batch_runs FOR SELECT TO modeldb_user USING (
    pg_catalog.pg_has_role(coalesce(
        (SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = modeldb._relation(predictions)),
        modeldb._owner(predictions)), 'USAGE')
    OR pg_catalog.pg_has_role('modeldb_admin', 'USAGE'));

-- modeldb_publisher registers and promotes; the functions run as modeldb_admin.
GRANT EXECUTE ON FUNCTION
    modeldb.register_model(text, bytea, jsonb, text, jsonb, jsonb, jsonb, boolean, jsonb, jsonb, jsonb, jsonb),
    modeldb.promote(text, integer, text), modeldb.rollback(text, text, integer), modeldb.retire(text, integer),
    modeldb.delete_model(text, integer, boolean), modeldb.drop_alias(text, text), modeldb.configure(text, text),
    modeldb.load(text)
    TO modeldb_publisher;

-- modeldb_admin reads everything, weights and smoke rows too, and sets the limits.
GRANT SELECT ON modeldb.artifact_chunk, modeldb.smoke TO modeldb_admin;
GRANT UPDATE (max_artifact_bytes, keep_runs, keep_events) ON modeldb.settings TO modeldb_admin;

-- Online scoring: whoever predicts may have the rows of a table of that role's scored. What is made for it is the role's,
-- and made by attach_scorer() alone: what others could make there, the owners of tables would be led to run.
GRANT USAGE ON SCHEMA modeldb_scorers TO modeldb_user;
GRANT SELECT ON modeldb.scorer, modeldb.scorers TO modeldb_user;
GRANT EXECUTE ON FUNCTION
    modeldb._attach_scorer(text, text, text, text, text, text, text, jsonb, text, text, text, text, text, text[]),
    modeldb.attach_scorer(text, text, text, text, text, text, text, jsonb, text, text, text, text, text, text[]),
    modeldb._detach_scorer(text, text), modeldb.detach_scorer(text, text), modeldb.enriched(text, text),
    modeldb._online(integer, bigint, bytea), modeldb._online_numbers(integer, bigint, bytea),
    modeldb._online_label(integer), modeldb._online_version(integer), modeldb._online_error(integer, text),
    modeldb._online_done(),
    modeldb._sum_latencies(jsonb[]), modeldb._latency(bigint[], double precision), modeldb._queue_state(integer),
    modeldb._scorer_of(text, text), modeldb._pick_scorer(text, text[], text),
    modeldb.queue_rows(text, text), modeldb._queue_rows(integer),
    modeldb.retry_failures(text, text), modeldb._retry_failures(integer), modeldb._drain(integer, integer),
    modeldb._scored(integer, bigint, integer), modeldb._scored_position(integer)
    TO modeldb_user;
GRANT EXECUTE ON FUNCTION
    modeldb._waiting(), modeldb._drain(integer, integer), modeldb._forget_events() TO modeldb_worker;

-- The key of a row and why it could not be scored tell values of rows.
GRANT SELECT ON modeldb.scorer_failures TO modeldb_user;
DROP POLICY IF EXISTS owners ON modeldb.scorer_failures;
CREATE POLICY owners ON modeldb.scorer_failures FOR SELECT TO modeldb_user USING (
    EXISTS (SELECT FROM modeldb.scorer s JOIN pg_catalog.pg_class c ON c.oid = s.relation
            WHERE s.id = scorer AND pg_catalog.pg_has_role(c.relowner, 'USAGE'))
    OR pg_catalog.pg_has_role('modeldb_admin', 'USAGE'));
