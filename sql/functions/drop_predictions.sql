CREATE OR REPLACE FUNCTION modeldb._forget_predictions(predictions text) RETURNS modeldb.prediction_set
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    forgotten modeldb.prediction_set;
BEGIN
    PERFORM modeldb._check_owner(predictions);
    PERFORM modeldb._unschedule(predictions);
    DELETE FROM modeldb.prediction_set s WHERE s.name = predictions RETURNING s.* INTO forgotten;
    IF NOT FOUND THEN
        PERFORM modeldb._raise_unknown_predictions(predictions);  -- somebody else was faster
    END IF;
    RETURN forgotten;
END
$$;
COMMENT ON FUNCTION modeldb._forget_predictions(text) IS
    'Delete the record of predictions and their schedule; what it was. batch_runs stays. Errors: MD907.';

CREATE OR REPLACE FUNCTION modeldb._drop_predictions(predictions text, "cascade" boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    of_owner oid := modeldb._owner(predictions);
    forgotten modeldb.prediction_set := modeldb._forget_predictions(predictions);
    how text := CASE WHEN "cascade" THEN 'CASCADE' ELSE 'RESTRICT' END;
    kind text;
    relation text;
BEGIN
    FOR kind, relation IN VALUES ('VIEW', forgotten.name),
        (CASE WHEN forgotten.incremental THEN 'TABLE' ELSE 'MATERIALIZED VIEW' END, forgotten.stored),
        ('VIEW', CASE WHEN forgotten.owns_source THEN forgotten.source END)
    LOOP
        -- Something else may have the name by now, of another role, whom a superuser could take it from.
        IF (SELECT c.relowner FROM pg_class c WHERE c.oid = modeldb._relation(relation)) = of_owner THEN
            EXECUTE format('DROP %s IF EXISTS %s %s', kind, relation, how);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION modeldb._drop_predictions(text, boolean) IS 'The body of drop_predictions(), as the caller.';

CREATE OR REPLACE FUNCTION modeldb.drop_predictions(name text, "cascade" boolean DEFAULT false) RETURNS void
LANGUAGE sql VOLATILE
AS $$
    SELECT modeldb._drop_predictions(modeldb._predictions(name), "cascade")
$$;
COMMENT ON FUNCTION modeldb.drop_predictions(text, boolean) IS
    'Drop predictions: the view, what they are stored in, and the schedule. Views of others that read them are in the '
    'way (2BP01) unless cascade is true. batch_runs stays. Errors: MD501, MD907.';
