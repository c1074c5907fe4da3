CREATE OR REPLACE FUNCTION modeldb.rollback(model text, alias text DEFAULT 'champion', steps integer DEFAULT 1)
RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    entry modeldb.alias_history;
    left_to_go integer := rollback.steps;
    usable boolean;
BEGIN
    IF coalesce(rollback.steps < 1, true) THEN
        RAISE EXCEPTION 'steps is %, it must be at least 1', coalesce(rollback.steps::text, 'NULL')
            USING ERRCODE = 'MD108', HINT = 'SELECT rollback(model) goes back one step.';
    END IF;
    PERFORM modeldb._lock_registry();
    SELECT h.* INTO entry FROM modeldb.alias a JOIN modeldb.alias_history h ON h.epoch = a.epoch
    WHERE a.model = rollback.model AND a.alias = rollback.alias;
    IF entry.epoch IS NULL THEN
        PERFORM modeldb._raise_unknown_alias(rollback.model, rollback.alias);
    END IF;
    WHILE left_to_go > 0 LOOP
        SELECT h.* INTO entry FROM modeldb.alias_history h WHERE h.epoch = entry.back_to;
        IF entry.epoch IS NULL THEN
            RAISE EXCEPTION 'model %: alias % cannot go back % step(s)', quote_literal(rollback.model),
                quote_literal(rollback.alias), rollback.steps USING ERRCODE = 'MD107',
                HINT = format('SELECT * FROM modeldb.alias_history WHERE model = %L AND alias = %L ORDER BY epoch',
                    rollback.model, rollback.alias);
        END IF;
        SELECT v.retired_at IS NULL INTO usable FROM modeldb.model_version v
        WHERE v.model = rollback.model AND v.version = entry.version;
        IF usable THEN  -- a step over a version that was retired or deleted since does not count
            left_to_go := left_to_go - 1;
        END IF;
    END LOOP;
    PERFORM modeldb._replay(rollback.model, entry.version);
    PERFORM modeldb._point(rollback.model, rollback.alias, entry.version, 'rollback', entry.back_to);
    RETURN entry.version;
END
$$;
COMMENT ON FUNCTION modeldb.rollback(text, text, integer) IS
    'Let an alias point at the version that it had before, any number of steps back, and return that version. Versions '
    'retired or deleted since are passed over. Errors: MD101, MD103, MD107, MD108, MD403.';
