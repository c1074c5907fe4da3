CREATE OR REPLACE FUNCTION modeldb._load(digest text) RETURNS void
LANGUAGE plpython3u STABLE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("load")
return SD["call"](digest)
$$;
COMMENT ON FUNCTION modeldb._load(text) IS
    'Put an artifact into the cache of this backend, once its bytes match the digest (MD307). Runs as the owner, '
    'because the caller may not read weights, and returns nothing.';
