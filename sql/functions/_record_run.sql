CREATE OR REPLACE FUNCTION modeldb._record_run(
    predictions text, model text, version integer, runner text, started_at timestamptz, rows bigint, scored bigint,
    error text, sqlstate text
) RETURNS modeldb.batch_runs
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    ended CONSTANT timestamptz := clock_timestamp();
    run modeldb.batch_runs;
BEGIN
    INSERT INTO modeldb.batch_runs (predictions, model, version, runner, run_by, started_at, finished_at, rows, scored,
        rows_per_second, error, sqlstate)
    VALUES (_record_run.predictions, _record_run.model, _record_run.version, _record_run.runner, modeldb._who(),
        _record_run.started_at, ended, _record_run.rows, _record_run.scored,
        _record_run.scored / nullif(extract(epoch FROM ended - _record_run.started_at), 0), _record_run.error,
        _record_run.sqlstate)
    RETURNING * INTO run;
    DELETE FROM modeldb.batch_runs r
    WHERE r.predictions = run.predictions AND r.id <= (
        SELECT o.id FROM modeldb.batch_runs o WHERE o.predictions = run.predictions
        ORDER BY o.id DESC OFFSET (SELECT s.keep_runs FROM modeldb.settings s) LIMIT 1);
    RETURN run;
END
$$;
COMMENT ON FUNCTION modeldb._record_run(
    text, text, integer, text, timestamptz, bigint, bigint, text, text) IS
    'Write a run that ends now to batch_runs, and forget the oldest of these predictions beyond settings.keep_runs.';
