CREATE OR REPLACE FUNCTION modeldb.schedule_predictions(name text, cron text) RETURNS text
LANGUAGE sql VOLATILE
AS $$
    SELECT modeldb._schedule(modeldb._predictions($1), $2)
$$;
COMMENT ON FUNCTION modeldb.schedule_predictions(text, text) IS
    'Refresh predictions at the times of a schedule: five fields of cron, in UTC. Returns who does it: pg_cron where it '
    'works for this database, otherwise worker, and then `modeldb worker` has to run. Replaces an earlier schedule. '
    'Errors: MD501, MD504; MD907 unless the role has the rights of the owner.';
