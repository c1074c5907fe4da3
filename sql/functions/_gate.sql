CREATE OR REPLACE FUNCTION modeldb._gate(model text, artifact bytea, signature jsonb, smoke jsonb) RETURNS jsonb
LANGUAGE plpython3u VOLATILE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("gate")
return SD["call"](model, artifact, signature, smoke)
$$;
COMMENT ON FUNCTION modeldb._gate(text, bytea, jsonb, jsonb) IS
    'What every artifact passes before it is stored: it parses, is safe, fits its signature, loads, and '
    'reproduces its smoke rows. Returns the completed signature. Errors: MD303 to MD305, MD402, MD403.';
