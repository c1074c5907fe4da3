CREATE OR REPLACE FUNCTION modeldb._retry_failures(scorer integer) RETURNS bigint
LANGUAGE plpython3u VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET bytea_output = 'hex'
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("retry_failures")
return SD["call"](scorer)
$$;
COMMENT ON FUNCTION modeldb._retry_failures(integer) IS
    'The body of retry_failures(), for whoever has the rights of the table''s owner.';

CREATE OR REPLACE FUNCTION modeldb.retry_failures("table" text, "into" text DEFAULT NULL) RETURNS bigint
LANGUAGE sql VOLATILE
AS $$
    SELECT modeldb._retry_failures(modeldb._scorer_of("table", "into"))
$$;
COMMENT ON FUNCTION modeldb.retry_failures(text, text) IS
    'Queue the rows of a table''s scorer that are in scorer_failures once more; how many. "into" may be NULL where the '
    'table has one scorer. For the table''s owner. Errors: MD601, MD603, MD907.';
