CREATE OR REPLACE FUNCTION modeldb._predict_rows(model text, rows bytea, epoch bigint) RETURNS bytea
LANGUAGE plpython3u STABLE STRICT PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("predict_rows")
return SD["call"](model, rows, epoch)
$$;
COMMENT ON FUNCTION modeldb._predict_rows(text, bytea, bigint) IS
    'db.predict() and db.predict_proba(): JSON of many rows by position in, JSON of labels, values and '
    'probabilities out.';
