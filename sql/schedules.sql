-- Who runs the schedules: pg_cron, where it works for this database. Applied at every installation by a superuser, who
-- alone sees pg_cron's settings; that modeldb_cron may use its schema is how the functions know what was found here.
-- Jobs are made for schedules that have none, as in a restored database or where pg_cron came later; those that a dump
-- brought along for a database of another name are removed, and so are those whose schedule is gone.

DO $$
DECLARE
    usable boolean;
    schedule record;
BEGIN
    EXECUTE pg_catalog.format(
        'GRANT CONNECT ON DATABASE %I TO modeldb_cron, modeldb_worker', pg_catalog.current_database());
    -- A run may take hours, and what limits other sessions would end it each time.
    EXECUTE pg_catalog.format(
        'ALTER ROLE modeldb_cron IN DATABASE %I SET statement_timeout = 0', pg_catalog.current_database());
    EXECUTE pg_catalog.format(
        'ALTER ROLE modeldb_cron IN DATABASE %I SET lock_timeout = 0', pg_catalog.current_database());
    -- Without background workers it would need a password for its jobs. Not in every version is there a time zone.
    SELECT pg_catalog.count(*) FILTER (WHERE s.name <> 'cron.timezone') = 2 AND pg_catalog.bool_and(
        CASE s.name WHEN 'cron.database_name' THEN s.setting = pg_catalog.current_database()
                    WHEN 'cron.use_background_workers' THEN s.setting = 'on'
                    ELSE s.setting IN ('GMT', 'UTC', 'Etc/UTC') END)
    INTO usable FROM pg_catalog.pg_settings s
    WHERE s.name IN ('cron.database_name', 'cron.use_background_workers', 'cron.timezone')
      AND s.context = 'postmaster';  -- of a library that is loaded; anything can be written into postgresql.conf
    IF NOT usable THEN
        IF modeldb._cron_ready() THEN
            REVOKE USAGE ON SCHEMA cron FROM modeldb_cron;
        END IF;
        RETURN;
    END IF;
    CREATE EXTENSION IF NOT EXISTS pg_cron;
    GRANT USAGE ON SCHEMA cron TO modeldb_cron;
    PERFORM cron.unschedule(j.jobid) FROM cron.job j
    WHERE j.username = 'modeldb_cron' AND (
        j.database <> pg_catalog.current_database()
        OR j.jobname NOT IN (SELECT modeldb._cron_job(s.predictions) FROM modeldb.prediction_schedule s));
    FOR schedule IN
        SELECT s.predictions, s.cron FROM modeldb.prediction_schedule s
        WHERE NOT EXISTS (
            SELECT FROM cron.job j
            WHERE j.username = 'modeldb_cron' AND j.jobname = modeldb._cron_job(s.predictions)
              AND j.schedule = s.cron AND j.command = modeldb._cron_command(s.predictions))
    LOOP
        PERFORM modeldb._cron_schedule(schedule.predictions, schedule.cron);
    END LOOP;
END
$$;
