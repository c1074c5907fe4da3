-- No search_path is set: names mean what they mean to the caller.
CREATE OR REPLACE FUNCTION modeldb._detach_scorer("table" text, "into" text) RETURNS void
LANGUAGE plpython3u VOLATILE PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("detach_scorer")
return SD["call"](*args)
$$;
COMMENT ON FUNCTION modeldb._detach_scorer(text, text) IS
    'The body of detach_scorer(). Runs as the caller, who has the rights of the table''s owner.';

CREATE OR REPLACE FUNCTION modeldb.detach_scorer("table" text, "into" text DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE
AS $$
    SELECT modeldb._detach_scorer("table", "into")
$$;
COMMENT ON FUNCTION modeldb.detach_scorer(text, text) IS
    'Score the rows of a table no more: the scorer into a column, or the table''s only one, is dropped with its triggers, '
    'its queue and its statistics. The columns stay with what is in them. Errors: MD601, MD603, MD907.';
