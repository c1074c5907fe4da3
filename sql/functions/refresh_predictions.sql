CREATE OR REPLACE FUNCTION modeldb._refresh(
    name text, "full" boolean, runner text, raises boolean DEFAULT false
) RETURNS modeldb.batch_runs
LANGUAGE plpython3u VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET array_nulls = on
SET quote_all_identifiers = off
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("refresh")
return SD["call"](*args)
$$;
COMMENT ON FUNCTION modeldb._refresh(text, boolean, text, boolean) IS
    'Run predictions with the rights of their owner, whoever calls: the owner, or a member of modeldb_worker. An error '
    'is recorded and warned of, or raised. The settings keep values exact that pass through text; '
    'with all identifiers quoted, a concurrent refresh fails.';

CREATE OR REPLACE FUNCTION modeldb.refresh_predictions(name text, "full" boolean DEFAULT false)
RETURNS modeldb.batch_runs
LANGUAGE sql VOLATILE
AS $$
    SELECT modeldb._refresh(modeldb._predictions(name), coalesce("full", false), 'session')
$$;
COMMENT ON FUNCTION modeldb.refresh_predictions(text, boolean) IS
    'Bring predictions up to date by the version that their model means now, while readers see those before. Returns the '
    'run; one that failed leaves the predictions as they were, warns, and has the error in error and sqlstate. '
    'full: score every row of incremental predictions again. Errors: MD501, MD505, MD907.';
