CREATE OR REPLACE FUNCTION modeldb.cache()
RETURNS TABLE (digest text, bytes bigint, hits bigint, seconds_to_load float8)
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("cache")
return SD["call"]()
$$;
COMMENT ON FUNCTION modeldb.cache() IS
    'What this backend has loaded: digest, bytes of the artifact, predictions answered, seconds that loading took. The '
    'budget is the setting modeldb.cache_mb (256).';
