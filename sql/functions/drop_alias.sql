CREATE OR REPLACE FUNCTION modeldb.drop_alias(model text, alias text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM modeldb._lock_registry_and_scorers();
    IF NOT EXISTS (SELECT FROM modeldb.alias a WHERE a.model = drop_alias.model AND a.alias = drop_alias.alias) THEN
        PERFORM modeldb._raise_unknown_alias(drop_alias.model, drop_alias.alias);
    END IF;
    PERFORM modeldb._check_unscored(drop_alias.model, NULL, drop_alias.alias);
    PERFORM modeldb._point(drop_alias.model, drop_alias.alias, NULL, 'drop', NULL);
END
$$;
COMMENT ON FUNCTION modeldb.drop_alias(text, text) IS
    'Remove an alias; the version that it pointed at stays. Errors: MD101, MD103, MD105 when a scorer '
    'names it.';
