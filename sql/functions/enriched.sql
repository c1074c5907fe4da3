-- No search_path is set: names mean what they mean to the caller.
CREATE OR REPLACE FUNCTION modeldb.enriched("table" text, enrich text) RETURNS text
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("enriched")
return SD["call"](*args)
$$;
COMMENT ON FUNCTION modeldb.enriched(text, text) IS
    'The query for the rows of a table with the columns that attach_scorer(enrich => ...) gives to them: to train on, and '
    'the source of predict_batch() and create_predictions(). Errors: MD108, MD603.';
