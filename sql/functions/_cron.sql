-- What pg_cron is asked for. Its jobs belong to the role that makes them, so what makes them runs as modeldb_cron, the
-- role that pg_cron then logs in as. It has no members and no password: the owner of a function can change what the
-- function does to those who call it.

CREATE OR REPLACE FUNCTION modeldb._cron_ready() RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM pg_namespace n
        JOIN pg_depend d ON d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e'
        JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
        WHERE n.nspname = 'cron' AND e.extname = 'pg_cron'  -- anybody may name a schema cron where there is none
          AND has_schema_privilege('modeldb_cron', n.oid, 'USAGE')
    );
END
$$;
COMMENT ON FUNCTION modeldb._cron_ready() IS
    'Whether pg_cron is in this database, and installing modeldb found that it can run schedules (sql/schedules.sql).';

CREATE OR REPLACE FUNCTION modeldb._cron_at_work() RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN modeldb._cron_ready() AND EXISTS (
        SELECT FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.application_name = 'pg_cron scheduler'
          AND a.usesysid = 10  -- the superuser of initdb, so that nobody else can pose as it
    );
END
$$;
COMMENT ON FUNCTION modeldb._cron_at_work() IS
    'Whether pg_cron runs the schedules of this database: _cron_ready(), and its launcher lives.';

CREATE OR REPLACE FUNCTION modeldb._cron_job(predictions text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- The name of a job has the type name: what is longer than 63 bytes would be cut, and might meet another one.
    RETURN 'modeldb ' || CASE WHEN octet_length(predictions) <= 55 THEN predictions ELSE md5(predictions) END;
END
$$;
COMMENT ON FUNCTION modeldb._cron_job(text) IS 'The name of the job of pg_cron that refreshes predictions.';

CREATE OR REPLACE FUNCTION modeldb._cron_command(predictions text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN format('SELECT modeldb._run_scheduled(%L, %L)', predictions, 'pg_cron');
END
$$;
COMMENT ON FUNCTION modeldb._cron_command(text) IS 'What the job of pg_cron that refreshes predictions runs.';

CREATE OR REPLACE FUNCTION modeldb._cron_serves(predictions text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN modeldb._cron_ready() AND EXISTS (
        SELECT FROM cron.job j
        WHERE j.jobname = modeldb._cron_job(predictions) AND j.username = current_user
          AND j.database = current_database() AND j.active
    );
END
$$;
COMMENT ON FUNCTION modeldb._cron_serves(text) IS
    'Whether pg_cron has an active job for the predictions. Runs as modeldb_cron, which alone sees its jobs.';

CREATE OR REPLACE FUNCTION modeldb._cron_schedule(predictions text, cron text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF modeldb._cron_ready() THEN
        PERFORM cron.schedule(modeldb._cron_job(predictions), cron, modeldb._cron_command(predictions));
    END IF;
END
$$;
COMMENT ON FUNCTION modeldb._cron_schedule(text, text) IS
    'Make or change the job of pg_cron for the predictions, where pg_cron is ready. Runs as modeldb_cron.';

CREATE OR REPLACE FUNCTION modeldb._cron_unschedule(predictions text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF modeldb._cron_ready() THEN
        PERFORM cron.unschedule(j.jobid) FROM cron.job j
        WHERE j.jobname = modeldb._cron_job(predictions) AND j.username = current_user;
    END IF;
END
$$;
COMMENT ON FUNCTION modeldb._cron_unschedule(text) IS
    'Remove the job of pg_cron for the predictions, if there is one. Runs as modeldb_cron.';

CREATE OR REPLACE FUNCTION modeldb._cron_forget() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF modeldb._cron_ready() THEN
        DELETE FROM cron.job_run_details d
        WHERE d.username = current_user AND d.start_time < now() - interval '7 days';
    END IF;
END
$$;
COMMENT ON FUNCTION modeldb._cron_forget() IS
    'Delete what pg_cron noted of modeldb''s jobs more than a week ago: it keeps all, and batch_runs has the runs. '
    'Runs as modeldb_cron.';
