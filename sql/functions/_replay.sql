CREATE OR REPLACE FUNCTION modeldb._replay(model text, version integer) RETURNS void
LANGUAGE plpython3u VOLATILE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("replay")
return SD["call"](model, version)
$$;
COMMENT ON FUNCTION modeldb._replay(text, integer) IS
    'Run a version on its stored smoke rows; MD403 when it differs from what is stored.';
