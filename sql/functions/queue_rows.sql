CREATE OR REPLACE FUNCTION modeldb._queue_rows(scorer integer) RETURNS bigint
LANGUAGE plpython3u VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("queue_rows")
return SD["call"](scorer)
$$;
COMMENT ON FUNCTION modeldb._queue_rows(integer) IS
    'The body of queue_rows(), for whoever has the rights of the table''s owner.';

CREATE OR REPLACE FUNCTION modeldb.queue_rows("table" text, "into" text DEFAULT NULL) RETURNS bigint
LANGUAGE sql VOLATILE
AS $$
    SELECT modeldb._queue_rows(modeldb._scorer_of("table", "into"))
$$;
COMMENT ON FUNCTION modeldb.queue_rows(text, text) IS
    'Queue all rows of a table for its asynchronous scorer: those that were there before it, or all after a promotion; '
    'how many. "into" may be NULL where the table has one such scorer. For the table''s owner. Errors: MD601, MD603, MD907.';
