-- From what a caller writes ('fraud', 'fraud@challenger', 'fraud/3') to a version.

CREATE OR REPLACE FUNCTION modeldb._nearest(word text, candidates text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    -- Shared pairs of letters, as in Dice's coefficient; pg_trgm would be an extension to ask for.
    SELECT pg_catalog.string_agg(near.candidate, ', ' ORDER BY near.score DESC, near.candidate)
    FROM (
        SELECT c.candidate, 2.0 * count(w.pair) / (length(word) + length(c.candidate) + 2) AS score
        FROM pg_catalog.unnest(candidates) AS c (candidate)
        CROSS JOIN LATERAL (
            SELECT DISTINCT pg_catalog.substr(' ' || pg_catalog.lower(word) || ' ', i, 2) AS pair
            FROM pg_catalog.generate_series(1, length(word) + 1) AS i
        ) AS w
        WHERE pg_catalog.strpos(' ' || pg_catalog.lower(c.candidate) || ' ', w.pair) > 0
        GROUP BY c.candidate
        ORDER BY score DESC, c.candidate
        LIMIT 3
    ) AS near
    WHERE near.score > 0.3;
END;
COMMENT ON FUNCTION modeldb._nearest(text, text[]) IS 'Up to three candidates that look like the word, the nearest first.';

CREATE OR REPLACE FUNCTION modeldb._parse(
    spec text, OUT model text, OUT alias text, OUT version integer
)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    parts text[] := regexp_match(spec, '^([A-Za-z_][A-Za-z0-9_.-]{0,62})(?:@([A-Za-z_][A-Za-z0-9_.-]{0,62})|/([1-9][0-9]{0,8}))?$');
BEGIN
    IF parts IS NULL THEN
        RAISE EXCEPTION '% is not a reference to a model', quote_nullable(left(spec, 100))
            USING ERRCODE = 'MD104', HINT = 'Write name, name@alias or name/version: fraud, fraud@challenger, fraud/3.';
    END IF;
    model := parts[1];
    version := parts[3]::integer;
    alias := CASE WHEN version IS NULL THEN coalesce(parts[2], 'champion') END;
END
$$;
COMMENT ON FUNCTION modeldb._parse(text) IS 'The parts of name, name@alias or name/version; MD104 when it is none of them.';

CREATE OR REPLACE FUNCTION modeldb._raise_unknown_model(model text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    near text := modeldb._nearest(model, ARRAY(SELECT m.name FROM modeldb.model m));
BEGIN
    RAISE EXCEPTION 'there is no model %', quote_literal(model) USING ERRCODE = 'MD101', HINT = coalesce(
        'Did you mean: ' || near || '?', 'SELECT name FROM modeldb.models lists the models that there are.');
END
$$;
COMMENT ON FUNCTION modeldb._raise_unknown_model(text) IS 'Raise MD101 with the nearest names.';

CREATE OR REPLACE FUNCTION modeldb._raise_unknown_version(the_model text, version integer) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM modeldb.model m WHERE m.name = the_model) THEN
        PERFORM modeldb._raise_unknown_model(the_model);
    END IF;
    RAISE EXCEPTION 'model % has no version %', quote_literal(the_model), coalesce(version::text, 'NULL')
        USING ERRCODE = 'MD102', HINT = format('Its versions are: %s.', (
            SELECT coalesce(string_agg(v.version::text, ', ' ORDER BY v.version), 'none')
            FROM modeldb.model_version v WHERE v.model = the_model));
END
$$;
COMMENT ON FUNCTION modeldb._raise_unknown_version(text, integer) IS 'Raise MD102 with the versions that there are, or MD101.';

CREATE OR REPLACE FUNCTION modeldb._raise_unknown_alias(the_model text, the_alias text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM modeldb.model m WHERE m.name = the_model) THEN
        PERFORM modeldb._raise_unknown_model(the_model);
    END IF;
    RAISE EXCEPTION 'model % has no alias %', quote_literal(the_model), quote_literal(the_alias)
        USING ERRCODE = 'MD103', HINT = format('Its aliases are: %s.', (
            SELECT coalesce(string_agg(a.alias, ', ' ORDER BY a.alias), 'none; promote(model, version) makes one')
            FROM modeldb.alias a WHERE a.model = the_model));
END
$$;
COMMENT ON FUNCTION modeldb._raise_unknown_alias(text, text) IS 'Raise MD103 with the aliases that there are, or MD101.';

CREATE OR REPLACE FUNCTION modeldb._route(
    spec text,
    OUT model text, OUT version integer, OUT digest text, OUT signature jsonb, OUT on_null text, OUT newest bigint
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    called record := modeldb._parse(spec);
    found_version modeldb.model_version;
BEGIN
    SELECT coalesce(max(p.epoch), 0) INTO newest FROM modeldb.publication p;
    model := called.model;
    version := called.version;
    IF version IS NULL THEN
        SELECT a.version INTO version FROM modeldb.alias a WHERE a.model = called.model AND a.alias = called.alias;
        IF version IS NULL THEN
            PERFORM modeldb._raise_unknown_alias(called.model, called.alias);
        END IF;
    END IF;
    SELECT v.* INTO found_version FROM modeldb.model_version v
    WHERE v.model = called.model AND v.version = _route.version;
    IF found_version.model IS NULL THEN
        PERFORM modeldb._raise_unknown_version(called.model, version);
    END IF;
    IF found_version.retired_at IS NOT NULL THEN
        RAISE EXCEPTION 'version % of model % is retired', version, quote_literal(called.model)
            USING ERRCODE = 'MD106', HINT = format(
                'Call another version, or bring it back with SELECT promote(%L, %s).', called.model, version);
    END IF;
    digest := found_version.digest;
    signature := found_version.signature;
    SELECT s.on_null INTO on_null FROM modeldb.model_setting s
    WHERE s.model = called.model ORDER BY s.epoch DESC LIMIT 1;
    on_null := coalesce(on_null, 'raise');
END
$$;
COMMENT ON FUNCTION modeldb._route(text) IS
    'The version that a reference means to the snapshot of the statement, as the invoker: a role that may not read the '
    'registry gets 42501. newest is the newest epoch that the snapshot sees.';
