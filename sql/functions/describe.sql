CREATE OR REPLACE FUNCTION modeldb.describe(model text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    called record := modeldb._parse(model);
    chosen integer := called.version;
    card jsonb;
BEGIN
    IF chosen IS NULL THEN
        SELECT a.version INTO chosen FROM modeldb.alias a WHERE a.model = called.model AND a.alias = called.alias;
        IF chosen IS NULL THEN
            PERFORM modeldb._raise_unknown_alias(called.model, called.alias);
        END IF;
    END IF;
    SELECT jsonb_build_object(
        'model', v.model, 'version', v.version, 'engine', v.engine, 'digest', v.digest, 'bytes', f.bytes,
        'description', v.description,
        'task', v.signature ->> 'task', 'classes', v.signature -> 'classes', 'features', v.signature -> 'features',
        'signature', v.signature, 'aliases', to_jsonb(ARRAY(
            SELECT a.alias FROM modeldb.alias a WHERE a.model = v.model AND a.version = v.version ORDER BY a.alias)),
        'on_null', coalesce((SELECT s.on_null FROM modeldb.model_setting s WHERE s.model = v.model
                             ORDER BY s.epoch DESC LIMIT 1), 'raise'),
        'metrics', v.metrics, 'params', v.params, 'tags', v.tags, 'provenance', v.provenance, 'parity', v.parity,
        'fingerprint', v.fingerprint, 'created_at', v.created_at, 'created_by', v.created_by,
        'retired_at', v.retired_at
    ) INTO card
    FROM modeldb.model_version v
    JOIN modeldb.artifact f ON f.digest = v.digest
    WHERE v.model = called.model AND v.version = chosen;
    IF card IS NULL THEN
        PERFORM modeldb._raise_unknown_version(called.model, chosen);
    END IF;
    RETURN card;
END
$$;
COMMENT ON FUNCTION modeldb.describe(text) IS
    'The card of the version that a reference (name, name@alias, name/version) means, as jsonb. '
    'Errors: MD101 to MD104.';
