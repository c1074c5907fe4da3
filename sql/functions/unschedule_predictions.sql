CREATE OR REPLACE FUNCTION modeldb.unschedule_predictions(name text) RETURNS void
LANGUAGE sql VOLATILE
AS $$
    SELECT modeldb._unschedule(modeldb._predictions($1))
$$;
COMMENT ON FUNCTION modeldb.unschedule_predictions(text) IS
    'Refresh predictions no more by themselves. Does nothing when they have no schedule. '
    'Errors: MD501; MD907 unless the role has the rights of the owner.';
