CREATE OR REPLACE FUNCTION modeldb.promote(model text, version integer, alias text DEFAULT 'champion')
RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    chosen modeldb.model_version;
    present modeldb.alias;
BEGIN
    IF coalesce(promote.alias !~ '^[A-Za-z_][A-Za-z0-9_.-]{0,62}$', true) THEN
        RAISE EXCEPTION '% is not a name for an alias', quote_nullable(left(promote.alias, 100))
            USING ERRCODE = 'MD104', HINT = 'Names are letters, digits, "_", "-" and ".".';
    END IF;
    SELECT v.* INTO chosen FROM modeldb.model_version v
    WHERE v.model = promote.model AND v.version = promote.version;
    IF chosen.model IS NULL THEN
        PERFORM modeldb._raise_unknown_version(promote.model, promote.version);
    END IF;
    PERFORM modeldb._replay(promote.model, promote.version);  -- before the lock, because it may load a large model

    PERFORM modeldb._lock_registry();
    SELECT v.* INTO chosen FROM modeldb.model_version v
    WHERE v.model = promote.model AND v.version = promote.version;
    IF chosen.model IS NULL THEN
        PERFORM modeldb._raise_unknown_version(promote.model, promote.version);
    END IF;
    SELECT a.* INTO present FROM modeldb.alias a WHERE a.model = promote.model AND a.alias = promote.alias;
    IF present.version = promote.version THEN
        RETURN promote.version;
    END IF;
    IF chosen.retired_at IS NOT NULL THEN
        UPDATE modeldb.model_version v SET retired_at = NULL
        WHERE v.model = promote.model AND v.version = promote.version;
    END IF;
    PERFORM modeldb._point(promote.model, promote.alias, promote.version, 'promote', present.epoch);
    RETURN promote.version;
END
$$;
COMMENT ON FUNCTION modeldb.promote(text, integer, text) IS
    'Let an alias (champion unless named) point at a version, from COMMIT on; returns the version. Its smoke rows are '
    'replayed first; a retired version comes back. Errors: MD101, MD102, MD104, MD307, MD402, MD403.';
