CREATE OR REPLACE FUNCTION modeldb._source(source text) RETURNS text
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("resolve")
return SD["call"](source)
$$;
COMMENT ON FUNCTION modeldb._source(text) IS
    'What to write after FROM for the name of a table or view, by the caller''s search_path, or for a query. Errors: MD503.';

CREATE OR REPLACE FUNCTION modeldb.predict_batch(
    model text, source text, key text DEFAULT NULL, on_error text DEFAULT 'raise', class text DEFAULT NULL
) RETURNS TABLE (row_key text, prediction double precision, label text, probability double precision, error text)
LANGUAGE sql STABLE ROWS 100000 PARALLEL UNSAFE
AS $$
    SELECT pg_catalog.unnest((c).kept_values[1]::text[]), pg_catalog.unnest(modeldb._numbers((c).prediction, (c).rows)),
        pg_catalog.unnest((c).label::text[]), pg_catalog.unnest(modeldb._numbers((c).probability, (c).rows)),
        pg_catalog.unnest((c).error::text[])
    FROM (
        SELECT modeldb._score(model, modeldb._source(source), pg_catalog.array_remove(ARRAY[key], NULL), 0, class,
            on_error, false) AS c OFFSET 0
    ) AS chunks
    WHERE (c).failure IS NULL OR modeldb._fail((c).failure)
$$;
COMMENT ON FUNCTION modeldb.predict_batch(text, text, text, text, text) IS
    'Predictions for all rows of a table, a view or a query at once, some thousand rows at a time: row_key is the column '
    'key as text, probability that of the label, or of a class. on_error: ''raise'', or ''null'' to have what is wrong '
    'with a row in error. Errors: MD101 to MD106, MD108, MD202 to MD209, MD401, MD503.';
