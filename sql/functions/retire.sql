CREATE OR REPLACE FUNCTION modeldb._check_unused(the_model text, the_version integer) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    pointing text;
BEGIN
    IF NOT EXISTS (SELECT FROM modeldb.model_version v WHERE v.model = the_model AND v.version = the_version) THEN
        PERFORM modeldb._raise_unknown_version(the_model, the_version);
    END IF;
    SELECT string_agg(a.alias, ', ' ORDER BY a.alias) INTO pointing FROM modeldb.alias a
    WHERE a.model = the_model AND a.version = the_version;
    IF pointing IS NOT NULL THEN
        RAISE EXCEPTION 'version % of model % is in use: % points at it', the_version, quote_literal(the_model), pointing
            USING ERRCODE = 'MD105', HINT = 'Promote another version first, or drop_alias(model, alias).';
    END IF;
    PERFORM modeldb._check_unstored(the_model, the_version);
    PERFORM modeldb._check_unscored(the_model, the_version, NULL);
END
$$;
COMMENT ON FUNCTION modeldb._check_unused(text, integer) IS
    'Raise MD105 when an alias points at the version, or predictions are of it or scorers name it; MD102 when there is none.';

CREATE OR REPLACE FUNCTION modeldb._await_runs(the_model text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM modeldb.prediction_set s WHERE (modeldb._parse(s.model)).model = the_model FOR SHARE;
END
$$;
COMMENT ON FUNCTION modeldb._await_runs(text) IS
    'Wait for runs of a model''s predictions, and let none begin until the transaction ends: a run may be about to store '
    'a version that is to be retired. Before the registry is locked, which others wait for.';

CREATE OR REPLACE FUNCTION modeldb._check_unstored(the_model text, the_version integer) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    holding text;
BEGIN
    SELECT string_agg(s.name, ', ' ORDER BY s.name) INTO holding FROM modeldb.prediction_set s
    WHERE (modeldb._parse(s.model)).model = the_model AND (the_version IS NULL OR s.version = the_version);
    IF holding IS NOT NULL THEN
        RAISE EXCEPTION '% of model % is in use: the predictions % are its',
                coalesce('version ' || the_version, 'a version'), quote_literal(the_model), holding
            USING ERRCODE = 'MD105', HINT = 'Refresh them to another version with refresh_predictions(name), or drop_predictions(name).';
    END IF;
END
$$;
COMMENT ON FUNCTION modeldb._check_unstored(text, integer) IS
    'Raise MD105 when batch predictions are of the version, or of any where it is NULL: a restored dump makes them again.';

CREATE OR REPLACE FUNCTION modeldb._check_unscored(the_model text, the_version integer, the_alias text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    scored text;
BEGIN
    SELECT string_agg(format('%I.%I.%I', n.nspname, c.relname, s."into"), ', ' ORDER BY n.nspname, c.relname, s."into")
    INTO scored
    FROM modeldb.scorer s
    CROSS JOIN LATERAL modeldb._parse(s.model) called
    JOIN pg_class c ON c.oid = s.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE called.model = the_model AND (the_version IS NULL OR called.version = the_version)
        AND (the_alias IS NULL OR called.alias = the_alias);
    IF scored IS NOT NULL THEN
        RAISE EXCEPTION '% of model % is in use: rows are scored by it into %',
                coalesce('version ' || the_version, 'alias ' || the_alias, 'a version'), quote_literal(the_model), scored
            USING ERRCODE = 'MD105', HINT = 'Inserts would fail. Detach with detach_scorer(table, column) first.';
    END IF;
END
$$;
COMMENT ON FUNCTION modeldb._check_unscored(text, integer, text) IS
    'Raise MD105 when scorers name the version or the alias, or, where both are NULL, the model at all.';

CREATE OR REPLACE FUNCTION modeldb.retire(model text, version integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM modeldb._await_runs(retire.model);
    PERFORM modeldb._lock_registry_and_scorers();
    PERFORM modeldb._check_unused(retire.model, retire.version);
    IF EXISTS (SELECT FROM modeldb.model_version v
               WHERE v.model = retire.model AND v.version = retire.version AND v.retired_at IS NOT NULL) THEN
        RETURN;
    END IF;
    PERFORM modeldb._publish('retire', retire.model, retire.version, NULL);
    UPDATE modeldb.model_version v SET retired_at = now()
    WHERE v.model = retire.model AND v.version = retire.version;
END
$$;
COMMENT ON FUNCTION modeldb.retire(text, integer) IS
    'Let a version predict no more (MD106) while it stays in the registry; promote() brings it back. '
    'Errors: MD101, MD102, MD105 when an alias points at it, batch predictions are of it, or a scorer names it.';
