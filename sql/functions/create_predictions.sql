CREATE OR REPLACE FUNCTION modeldb._create_predictions(
    name text, model text, source text, key text[], columns text[], on_error text, class text, incremental boolean,
    changed_at text
) RETURNS modeldb.batch_runs
LANGUAGE plpython3u VOLATILE PARALLEL UNSAFE SET jit = off SET quote_all_identifiers = off
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("create_predictions")
return SD["call"](*args)
$$;
COMMENT ON FUNCTION modeldb._create_predictions(text, text, text, text[], text[], text, text, boolean, text) IS
    'The body of create_predictions(). Runs as the caller, whose relations they become.';

CREATE OR REPLACE FUNCTION modeldb._register_predictions(
    name text, stored text, source text, owns_source boolean, model text, key text[], columns text[], shape text[], class text,
    on_error text, incremental boolean, changed_at text
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation text;
    found record;
BEGIN
    PERFORM modeldb._check_unrestricted();
    PERFORM modeldb._parse(model);
    -- Whoever refreshes or drops the predictions works with these relations, perhaps with more rights than the caller.
    FOREACH relation IN ARRAY ARRAY[name, stored] || CASE WHEN owns_source THEN ARRAY[source] ELSE '{}' END LOOP
        SELECT c.relowner, format('%I.%I', n.nspname, c.relname) AS name INTO found
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = modeldb._relation(relation);
        IF found.name IS DISTINCT FROM relation THEN
            RAISE EXCEPTION 'there is no relation %', relation USING ERRCODE = 'MD505';
        ELSIF NOT pg_has_role(modeldb._who(), found.relowner, 'USAGE') THEN
            RAISE EXCEPTION 'the relation % is not yours', relation USING ERRCODE = 'MD907';
        END IF;
    END LOOP;
    DELETE FROM modeldb.prediction_set s WHERE s.name = _register_predictions.name;  -- of a view that was dropped by hand
    INSERT INTO modeldb.prediction_set (
        name, stored, source, owns_source, model, key, columns, shape, class, on_error, incremental, changed_at,
        created_by)
    VALUES (name, stored, source, owns_source, model, key, columns, shape, class, on_error, incremental, changed_at,
        modeldb._who());
END
$$;
COMMENT ON FUNCTION modeldb._register_predictions(
    text, text, text, boolean, text, text[], text[], text[], text, text, boolean, text) IS
    'Record the predictions that the caller has made relations for.';

CREATE OR REPLACE FUNCTION modeldb.create_predictions(
    name text, model text, source text, key text, columns text[] DEFAULT '{}', on_error text DEFAULT 'raise',
    class text DEFAULT NULL, incremental boolean DEFAULT false, changed_at text DEFAULT NULL
) RETURNS modeldb.batch_runs
LANGUAGE sql VOLATILE
AS $$
    SELECT modeldb._create_predictions(name, model, source, ARRAY[key], columns, on_error, class, incremental, changed_at)
$$;
COMMENT ON FUNCTION modeldb.create_predictions(text, text, text, text, text[], text, text, boolean, text) IS
    'Predictions for the rows of a table, a view or a query: a view of that name with key, columns, prediction, label, '
    'probability, model, model_version and scored_at, in front of a materialized view, or a table if incremental. '
    'Returns the first run. Errors: MD101 to MD106, MD108, MD202 to MD209, MD401, MD502, MD503.';

CREATE OR REPLACE FUNCTION modeldb.create_predictions(
    name text, model text, source text, key text[], columns text[] DEFAULT '{}', on_error text DEFAULT 'raise',
    class text DEFAULT NULL, incremental boolean DEFAULT false, changed_at text DEFAULT NULL
) RETURNS modeldb.batch_runs
LANGUAGE sql VOLATILE
AS $$
    SELECT modeldb._create_predictions(name, model, source, key, columns, on_error, class, incremental, changed_at)
$$;
COMMENT ON FUNCTION modeldb.create_predictions(text, text, text, text[], text[], text, text, boolean, text) IS
    'The same for a key of several columns.';
