-- Finding predictions by what a caller writes. No search_path is set: it is the caller's that counts.

CREATE OR REPLACE FUNCTION modeldb._path(name text) RETURNS text[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    parts text[];
    visible text[];
BEGIN
    BEGIN
        parts := pg_catalog.parse_ident(name);
    EXCEPTION WHEN invalid_parameter_value THEN
        parts := ARRAY[name];  -- a name that would have to be quoted, and is not
    END;
    IF pg_catalog.cardinality(parts) OPERATOR(pg_catalog.<>) 1 THEN
        RETURN parts;
    END IF;
    SELECT ARRAY[n.nspname, c.relname]::text[] INTO visible
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE c.relname OPERATOR(pg_catalog.=) parts[1] AND pg_catalog.pg_table_is_visible(c.oid);
    RETURN coalesce(visible, ARRAY[pg_catalog.current_schema()::text, parts[1]]);
END
$$;
COMMENT ON FUNCTION modeldb._path(text) IS 'Schema and name that a caller means by the name of a relation, there or not.';

-- to_regclass() would raise an error for a schema that the current role may not use.
CREATE OR REPLACE FUNCTION modeldb._relation(name text) RETURNS oid
LANGUAGE sql STABLE STRICT PARALLEL SAFE
AS $$
    SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE n.nspname OPERATOR(pg_catalog.=) (pg_catalog.parse_ident(name))[1]
        AND c.relname OPERATOR(pg_catalog.=) (pg_catalog.parse_ident(name))[2]
$$;
COMMENT ON FUNCTION modeldb._relation(text) IS
    'The relation of a name with its schema, whoever may use that; NULL if there is none.';

CREATE OR REPLACE FUNCTION modeldb._predictions(name text) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(
        (SELECT s.name FROM modeldb.prediction_set s
         WHERE pg_catalog.parse_ident(s.name) OPERATOR(pg_catalog.=) modeldb._path(_predictions.name)),
        modeldb._raise_unknown_predictions(name))
$$;
COMMENT ON FUNCTION modeldb._predictions(text) IS
    'The name in prediction_set of what a caller names, also after the view itself was dropped. Errors: MD501.';

CREATE OR REPLACE FUNCTION modeldb._raise_unknown_predictions(name text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    near text := modeldb._nearest(name, ARRAY(SELECT s.name FROM modeldb.prediction_set s));
BEGIN
    RAISE EXCEPTION 'there are no predictions %', quote_nullable(left(name, 100)) USING ERRCODE = 'MD501',
        HINT = coalesce('Did you mean: ' || near || '?',
            'SELECT name FROM modeldb.predictions lists those that there are.');
END
$$;
COMMENT ON FUNCTION modeldb._raise_unknown_predictions(text) IS 'Raise MD501 with the nearest names.';

CREATE OR REPLACE FUNCTION modeldb._shown_by(view text, stored text) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT c.relowner
        FROM pg_class c
        JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
        JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
        JOIN pg_class v ON v.oid = w.ev_class
        WHERE c.oid = modeldb._relation(stored) AND v.oid = modeldb._relation(view) AND v.relowner = c.relowner
        LIMIT 1
    );
END
$$;
COMMENT ON FUNCTION modeldb._shown_by(text, text) IS
    'The owner of a view and of what it shows, if both are there and have the same one. That proves that they are what '
    'create_predictions() made, and not something that another role made later by the same names.';

CREATE OR REPLACE FUNCTION modeldb._owner(predictions text) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found modeldb.prediction_set;
BEGIN
    SELECT s.* INTO found FROM modeldb.prediction_set s WHERE s.name = predictions;
    RETURN coalesce(
        modeldb._shown_by(found.name, found.stored),
        (SELECT r.oid FROM pg_roles r WHERE r.rolname = found.created_by),
        'modeldb_owner'::regrole);
END
$$;
COMMENT ON FUNCTION modeldb._owner(text) IS
    'Whose predictions are: the owner of their relations as long as these are whole, then their creator.';

CREATE OR REPLACE FUNCTION modeldb._check_owner(name text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM modeldb._check_unrestricted();
    IF NOT pg_has_role(modeldb._who(), modeldb._owner(name), 'USAGE') THEN
        RAISE EXCEPTION 'role % may not change the predictions %', quote_literal(modeldb._who()), name
            USING ERRCODE = 'MD907', HINT = 'Their owner may, and the members of that role.';
    END IF;
END
$$;
COMMENT ON FUNCTION modeldb._check_owner(text) IS
    'Raise MD907 unless the calling role has the rights of the predictions'' owner.';

CREATE OR REPLACE FUNCTION modeldb._check_unrestricted() RETURNS void
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("check_unrestricted")
return SD["call"]()
$$;
COMMENT ON FUNCTION modeldb._check_unrestricted() IS
    'Raise MD907 within what PostgreSQL runs for somebody else, such as the query of a view that a superuser refreshes.';
