CREATE OR REPLACE FUNCTION modeldb.configure(model text, on_null text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF coalesce(on_null NOT IN ('raise', 'null'), true) THEN
        RAISE EXCEPTION 'on_null is %, it must be ''raise'' or ''null''', quote_nullable(on_null) USING ERRCODE = 'MD108',
            HINT = 'SELECT configure(model, on_null => ''null'') gives NULL for a row with NULL, ''raise'' an error.';
    END IF;
    PERFORM modeldb._lock_registry();
    IF NOT EXISTS (SELECT FROM modeldb.model m WHERE m.name = configure.model) THEN
        PERFORM modeldb._raise_unknown_model(configure.model);
    END IF;
    INSERT INTO modeldb.model_setting (model, epoch, on_null)
    VALUES (configure.model, modeldb._publish('configure', configure.model, NULL, NULL), configure.on_null);
END
$$;
COMMENT ON FUNCTION modeldb.configure(text, text) IS
    'What a prediction does with NULL for a feature that was never missing in the sample: on_null => ''raise'' (MD204, '
    'the default) or ''null'' (the prediction is NULL). Errors: MD101, MD108.';
