-- What `modeldb score` notes down, so that an interrupted run can go on: one job per target table, and its runs.

CREATE OR REPLACE FUNCTION modeldb._score_target(relation oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target text;
BEGIN
    PERFORM modeldb._check_unrestricted();
    SELECT format('%I.%I', n.nspname, c.relname) INTO target
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = relation AND pg_has_role(modeldb._who(), c.relowner, 'USAGE');
    IF target IS NULL THEN
        RAISE EXCEPTION 'must be owner of table %', coalesce(relation::regclass::text, 'NULL')
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN target;
END
$$;
COMMENT ON FUNCTION modeldb._score_target(oid) IS 'The qualified name of a table that the calling role has the rights of (42501).';

CREATE OR REPLACE FUNCTION modeldb._score_begin(
    relation oid, source text, model text, version integer, key text[], columns text[], class text, on_error text
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name CONSTANT text := modeldb._score_target(relation);
BEGIN
    DELETE FROM modeldb.score_job j
    WHERE j.target = name OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = j.relation);
    INSERT INTO modeldb.score_job (target, relation, source, model, version, key, columns, class, on_error, started_by)
    VALUES (name, relation, source, model, version, key, columns, class, on_error, modeldb._who());
END
$$;
COMMENT ON FUNCTION modeldb._score_begin(oid, text, text, integer, text[], text[], text, text) IS
    'Note down a job, in the transaction that creates its target. Jobs whose targets were dropped go.';

CREATE OR REPLACE FUNCTION modeldb._score_snapshot(relation oid, snapshot pg_snapshot) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name CONSTANT text := modeldb._score_target(relation);
BEGIN
    UPDATE modeldb.score_job j SET snapshot = _score_snapshot.snapshot WHERE j.target = name;
END
$$;
COMMENT ON FUNCTION modeldb._score_snapshot(oid, pg_snapshot) IS
    'Note down by which snapshot the rows in the target are right, in the transaction that makes them so.';

CREATE OR REPLACE FUNCTION modeldb._score_end(
    relation oid, began timestamptz, rows bigint, scored bigint, error text, sqlstate text
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name CONSTANT text := modeldb._score_target(relation);
    done CONSTANT boolean := error IS NULL;
    job modeldb.score_job;
BEGIN
    UPDATE modeldb.score_job j
    SET finished_at = CASE WHEN done THEN clock_timestamp() END, rows = CASE WHEN done THEN _score_end.rows END
    WHERE j.target = name
    RETURNING * INTO job;
    PERFORM modeldb._record_run(job.target, job.model, job.version, 'score', began,
        CASE WHEN done THEN _score_end.rows END, scored, error, sqlstate);
END
$$;
COMMENT ON FUNCTION modeldb._score_end(oid, timestamptz, bigint, bigint, text, text) IS
    'Record a run in batch_runs; without an error the job is finished, and the target is the user''s own affair.';
