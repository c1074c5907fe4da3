CREATE OR REPLACE FUNCTION modeldb._schedule(predictions text, cron text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    fields text := btrim(regexp_replace(_schedule.cron, '\s+', ' ', 'g'));
    first timestamptz := modeldb._next_time(fields, now());
BEGIN
    PERFORM modeldb._check_owner(_schedule.predictions);
    INSERT INTO modeldb.prediction_schedule (predictions, cron, scheduled_by)
    VALUES (_schedule.predictions, fields, modeldb._who())
    ON CONFLICT (predictions) DO UPDATE SET
        cron = excluded.cron, scheduled_at = excluded.scheduled_at, scheduled_by = excluded.scheduled_by,
        handled_until = excluded.handled_until, attempted_for = NULL, attempts = 0;
    IF modeldb._cron_at_work() THEN
        PERFORM modeldb._cron_schedule(_schedule.predictions, fields);
        RETURN 'pg_cron';
    END IF;
    PERFORM modeldb._cron_unschedule(_schedule.predictions);
    RAISE NOTICE 'pg_cron does not work for this database: % is refreshed where `modeldb worker` runs, first at % UTC',
        _schedule.predictions, to_char(first AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI');
    RETURN 'worker';
END
$$;
COMMENT ON FUNCTION modeldb._schedule(text, text) IS
    'schedule_predictions() of the predictions of this full name.';

CREATE OR REPLACE FUNCTION modeldb._unschedule(predictions text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM modeldb._check_owner(_unschedule.predictions);
    DELETE FROM modeldb.prediction_schedule s WHERE s.predictions = _unschedule.predictions;
    PERFORM modeldb._cron_unschedule(_unschedule.predictions);
END
$$;
COMMENT ON FUNCTION modeldb._unschedule(text) IS 'unschedule_predictions() of the predictions of this full name.';
