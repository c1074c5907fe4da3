CREATE OR REPLACE FUNCTION modeldb.delete_model(
    model text, version integer DEFAULT NULL, cascade boolean DEFAULT false
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    pointing text;
BEGIN
    PERFORM modeldb._await_runs(delete_model.model);
    PERFORM modeldb._lock_registry_and_scorers();
    IF version IS NOT NULL THEN
        PERFORM modeldb._check_unused(delete_model.model, delete_model.version);
        PERFORM modeldb._publish('delete', delete_model.model, delete_model.version, NULL);
        DELETE FROM modeldb.model_version v WHERE v.model = delete_model.model AND v.version = delete_model.version;
    ELSE
        IF NOT EXISTS (SELECT FROM modeldb.model m WHERE m.name = delete_model.model) THEN
            PERFORM modeldb._raise_unknown_model(delete_model.model);
        END IF;
        IF NOT coalesce(delete_model.cascade, false) THEN
            RAISE EXCEPTION 'no version of model % was named', quote_literal(delete_model.model) USING ERRCODE = 'MD108',
                HINT = format('SELECT delete_model(%L, 1) deletes version 1; SELECT delete_model(%1$L, cascade => true) '
                    'deletes the model with all its versions and aliases.', delete_model.model);
        END IF;
        PERFORM modeldb._check_unstored(delete_model.model, NULL);
        PERFORM modeldb._check_unscored(delete_model.model, NULL, NULL);
        FOR pointing IN SELECT a.alias FROM modeldb.alias a WHERE a.model = delete_model.model ORDER BY a.alias LOOP
            PERFORM modeldb._point(delete_model.model, pointing, NULL, 'drop', NULL);
        END LOOP;
        PERFORM modeldb._publish('delete', delete_model.model, NULL, NULL);
        DELETE FROM modeldb.model m WHERE m.name = delete_model.model;
        DELETE FROM modeldb.model_setting s WHERE s.model = delete_model.model;
    END IF;
    DELETE FROM modeldb.artifact a
    WHERE NOT EXISTS (SELECT FROM modeldb.model_version v WHERE v.digest = a.digest);
END
$$;
COMMENT ON FUNCTION modeldb.delete_model(text, integer, boolean) IS
    'Delete a version that no alias points at (MD105), or with cascade => true and no version the whole model. Weights '
    'that no other version shares go with it. MD105, too, when predictions are of it or scorers name it. Errors: MD101, MD102, MD105, MD108.';
