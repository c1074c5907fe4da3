CREATE OR REPLACE FUNCTION modeldb._waiting() RETURNS TABLE (scorer integer, name text, due boolean)
LANGUAGE plpython3u STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET lock_timeout = '100ms'
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("waiting")
return SD["call"]()
$$;
COMMENT ON FUNCTION modeldb._waiting() IS
    'The asynchronous scorers that have a table and a queue, and whether entries of each are due. For modeldb worker.';

CREATE OR REPLACE FUNCTION modeldb._drain(
    scorer integer, most integer, OUT taken integer, OUT scored integer, OUT failed integer, OUT retried integer,
    OUT parked integer, OUT busy integer, OUT gone integer, OUT more boolean
)
LANGUAGE plpython3u VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET lock_timeout = '1s'
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET bytea_output = 'hex' SET extra_float_digits = 1
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("drain")
return SD["call"](scorer, most)
$$;
COMMENT ON FUNCTION modeldb._drain(integer, integer) IS
    'Take at most so many entries that are due from a scorer''s queue and score their rows, with the rights of the '
    'table''s owner, whoever calls: that owner, or a member of modeldb_worker. What became of the entries: rows scored '
    'and failed; entries to be retried or parked in scorer_failures, put off as somebody has locked their rows, or '
    'dropped with rows that are gone; and whether more may be due. Errors: MD603, MD907, and what a prediction raises that is no row''s fault.';
