CREATE OR REPLACE FUNCTION modeldb._score(
    model text, source text, kept text[], key integer, class text, on_error text, hashed boolean
) RETURNS TABLE (
    rows integer, kept_values text[], prediction bytea, label text, probability bytea, error text, hash text, failure json
)
LANGUAGE plpython3u STABLE ROWS 200 PARALLEL UNSAFE
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1  -- what is kept passes through text
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("score")
return SD["call"](model, source, kept, key, args[4], on_error, hashed)
$$;
COMMENT ON FUNCTION modeldb._score(text, text, text[], integer, text, text, boolean) IS
    'The rows of a source (a qualified relation or a query in parentheses) scored by one version, some thousand at a '
    'time: array literals of the kept columns, of which the first are the key, and of the predictions, whose numbers are '
    'for _numbers(). An error comes as a last row with failure, to be raised by _fail().';

CREATE OR REPLACE FUNCTION modeldb._score_set(predictions text) RETURNS TABLE (
    rows integer, kept_values text[], prediction bytea, label text, probability bytea, error text, hash text, failure json
)
LANGUAGE plpython3u STABLE STRICT ROWS 200 PARALLEL UNSAFE
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("score_set")
return SD["call"](predictions)
$$;
COMMENT ON FUNCTION modeldb._score_set(text) IS
    'The rows that a materialized view of create_predictions() is made of, by the version that its last run was of: a '
    'restored dump makes the same rows again. Other than in a run, a row that cannot be scored has no prediction.';

CREATE OR REPLACE FUNCTION modeldb._score_statement(
    model text, source text, key text[], columns text[], class text, on_error text, condition text
) RETURNS text
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("score_statement")
return SD["call"](model, source, key, columns, args[4], on_error, condition)
$$;
COMMENT ON FUNCTION modeldb._score_statement(text, text, text[], text[], text, text, text) IS
    'A SELECT of key, columns, and what the model predicts for the rows of a source that fulfil a condition on s.';

CREATE OR REPLACE FUNCTION modeldb._fail(failure json) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF failure ->> 'detail' IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = failure ->> 'sqlstate', MESSAGE = failure ->> 'message',
            DETAIL = failure ->> 'detail', HINT = coalesce(failure ->> 'hint', 'The row or the query has to be corrected.');
    ELSIF failure ->> 'hint' IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = failure ->> 'sqlstate', MESSAGE = failure ->> 'message',
            HINT = failure ->> 'hint';
    END IF;
    RAISE EXCEPTION USING ERRCODE = failure ->> 'sqlstate', MESSAGE = failure ->> 'message';
END
$$;
COMMENT ON FUNCTION modeldb._fail(json) IS 'Raise what _score() failed with.';
