-- What pg_cron's jobs and `modeldb worker` call. The lock on the row of prediction_schedule keeps a job from overlapping
-- itself; handled_until, changed in the transaction of the run, keeps it from being run twice, whoever comes first.

CREATE OR REPLACE FUNCTION modeldb._run_scheduled(name text, runner text) RETURNS SETOF modeldb.batch_runs
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schedule modeldb.prediction_schedule;
    begun timestamptz;
BEGIN
    SELECT * INTO schedule FROM modeldb.prediction_schedule s WHERE s.predictions = name FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR modeldb._next_time(schedule.cron, schedule.handled_until) > clock_timestamp() THEN
        RETURN;
    END IF;
    begun := clock_timestamp();
    BEGIN
        RETURN QUERY SELECT * FROM modeldb._refresh(name, false, runner);
    EXCEPTION WHEN OTHERS THEN  -- what _refresh() does not record itself, such as that there is nothing to refresh
        RETURN QUERY SELECT * FROM modeldb._fail_scheduled(name, runner, SQLSTATE,
            CASE WHEN SQLSTATE LIKE 'MD%' THEN regexp_replace(SQLERRM, '^\w+: ', '') ELSE SQLERRM END);
    END;
    UPDATE modeldb.prediction_schedule s SET handled_until = begun, attempted_for = NULL, attempts = 0
    WHERE s.predictions = name;
    IF runner = 'pg_cron' THEN
        PERFORM modeldb._cron_forget();
    END IF;
END
$$;
COMMENT ON FUNCTION modeldb._run_scheduled(text, text) IS
    'Refresh predictions if a time of their schedule has come that no run has handled, once for all times missed. '
    'Returns the run; no row when there was nothing to do or another run is at it.';

CREATE OR REPLACE FUNCTION modeldb._due() RETURNS TABLE (predictions text, due timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    cron_at_work boolean := modeldb._cron_at_work();
BEGIN
    RETURN QUERY
    SELECT s.predictions, n.due
    FROM modeldb.prediction_schedule s, LATERAL (SELECT modeldb._next_time(s.cron, s.handled_until) AS due) n
    WHERE n.due <= CASE WHEN cron_at_work AND modeldb._cron_serves(s.predictions)
                        THEN now() - interval '2 minutes' ELSE now() END
    ORDER BY n.due;
END
$$;
COMMENT ON FUNCTION modeldb._due() IS
    'The predictions that `modeldb worker` should refresh now, and since when. What pg_cron serves is left to it, unless '
    'it is late: it catches up nothing that it missed.';

CREATE OR REPLACE FUNCTION modeldb._attempt(name text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schedule modeldb.prediction_schedule;
    due timestamptz;
BEGIN
    SELECT * INTO schedule FROM modeldb.prediction_schedule s WHERE s.predictions = name FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 'busy';
    END IF;
    due := modeldb._next_time(schedule.cron, schedule.handled_until);
    IF due > clock_timestamp() THEN
        RETURN 'handled';
    ELSIF schedule.attempted_for IS DISTINCT FROM due THEN
        UPDATE modeldb.prediction_schedule s SET attempted_for = due, attempts = 1 WHERE s.predictions = name;
    ELSIF schedule.attempts < 2 THEN
        UPDATE modeldb.prediction_schedule s SET attempts = s.attempts + 1 WHERE s.predictions = name;
    ELSE
        PERFORM modeldb._fail_scheduled(name, 'worker', 'MD507', format(
            'the run that was due at %s UTC was begun twice and did not end: its connection was lost, or the server '
            'crashed', to_char(due AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')));
        RETURN 'lost';
    END IF;
    RETURN 'run';
END
$$;
COMMENT ON FUNCTION modeldb._attempt(text) IS
    'Take note, in a transaction of its own, that a worker begins a due run: run, or busy, handled, or lost when two '
    'attempts have not ended, which is recorded (MD507), so that a run that crashes the server does so twice at most.';

CREATE OR REPLACE FUNCTION modeldb._take_back_attempt(name text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE modeldb.prediction_schedule s SET attempts = s.attempts - 1 WHERE s.predictions = name AND s.attempts > 0;
END
$$;
COMMENT ON FUNCTION modeldb._take_back_attempt(text) IS
    'A worker that was told to stop has cancelled the run: it is still due, and this attempt does not count.';

CREATE OR REPLACE FUNCTION modeldb._fail_scheduled(name text, runner text, sqlstate text, error text)
RETURNS SETOF modeldb.batch_runs
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    UPDATE modeldb.prediction_schedule s SET handled_until = now(), attempted_for = NULL, attempts = 0
    WHERE s.predictions = _fail_scheduled.name;
    RETURN QUERY
    SELECT run.* FROM modeldb.prediction_set p, LATERAL modeldb._record_run(
        p.name, p.model, NULL, _fail_scheduled.runner, now(), NULL, NULL, _fail_scheduled.error,
        _fail_scheduled.sqlstate) AS run
    WHERE p.name = _fail_scheduled.name;
END
$$;
COMMENT ON FUNCTION modeldb._fail_scheduled(text, text, text, text) IS
    'Record a due run that could not record itself, and leave it at that until the next time; the run.';
