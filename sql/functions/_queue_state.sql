CREATE OR REPLACE FUNCTION modeldb._queue_state(scorer integer, OUT queued bigint, OUT oldest_waiting interval)
LANGUAGE plpython3u STABLE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET lock_timeout = '100ms'
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("queue_state")
return SD["call"](scorer)
$$;
COMMENT ON FUNCTION modeldb._queue_state(integer) IS
    'How many entries of an asynchronous scorer wait, and how long the oldest one has waited; NULL where that cannot be '
    'told, as when somebody has locked the queue. Works as the owner of the table.';
