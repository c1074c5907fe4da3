-- Finding predictions by what a caller writes. No search_path is set: it is the caller's that counts.

CREATE OR REPLACE FUNCTION modeldb._predictions(name text) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(
        (SELECT s.name FROM modeldb.prediction_set s
         WHERE pg_catalog.to_regclass(s.name) = pg_catalog.to_regclass(_predictions.name)),
        (SELECT s.name FROM modeldb.prediction_set s WHERE s.name = _predictions.name
            OR s.name = pg_catalog.format('%I.%I', pg_catalog.current_schema(), _predictions.name)),
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

CREATE OR REPLACE FUNCTION modeldb._check_owner(name text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found modeldb.prediction_set;
    owner oid;
BEGIN
    SELECT s.* INTO found FROM modeldb.prediction_set s WHERE s.name = _check_owner.name;
    SELECT c.relowner INTO owner FROM pg_class c WHERE c.oid = coalesce(to_regclass(found.stored), to_regclass(found.name));
    IF NOT pg_has_role(modeldb._who(), coalesce(owner, (SELECT r.oid FROM pg_roles r WHERE r.rolname = found.created_by),
            'modeldb_owner'::regrole), 'USAGE') THEN
        RAISE EXCEPTION 'role % may not change the predictions %', quote_literal(modeldb._who()), name
            USING ERRCODE = 'MD907', HINT = 'Their owner may, and the members of that role.';
    END IF;
END
$$;
COMMENT ON FUNCTION modeldb._check_owner(text) IS
    'Raise MD907 unless the calling role has the rights of the predictions'' owner; of their creator, if the relations '
    'are gone.';
