-- No search_path is set: it is the caller's that tells which table is meant.
CREATE OR REPLACE FUNCTION modeldb._scorer_of("table" text, "into" text) RETURNS integer
LANGUAGE sql STABLE
AS $$
    SELECT modeldb._pick_scorer("table", modeldb._path("table"), "into")
$$;
COMMENT ON FUNCTION modeldb._scorer_of(text, text) IS
    'The asynchronous scorer of a table that a caller names, into a column, or its only one. Errors: MD601, MD603.';

CREATE OR REPLACE FUNCTION modeldb._pick_scorer(name text, path text[], "into" text) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found integer[] := ARRAY(
        SELECT s.id FROM modeldb.scorer s
        JOIN pg_class c ON c.oid = s.relation JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE ARRAY[n.nspname, c.relname]::text[] = path AND (s."into" = _pick_scorer."into" OR _pick_scorer."into" IS NULL)
        ORDER BY s.mode, s.id);  -- async comes before sync
    queued CONSTANT integer := (SELECT count(*) FROM modeldb.scorer s WHERE s.id = ANY (found) AND s.mode = 'async');
BEGIN
    IF queued = 1 THEN
        RETURN found[1];
    ELSIF cardinality(found) > 0 AND queued = 0 THEN
        RAISE EXCEPTION 'the table % is scored as it is written: there is neither a queue nor a stream of events', name
            USING ERRCODE = 'MD603', HINT = 'Attach a scorer with mode => ''async'' for that.';
    ELSIF queued > 1 THEN
        RAISE EXCEPTION 'the table % has % asynchronous scorers', name, queued USING ERRCODE = 'MD601',
            HINT = 'Name the column of the one that is meant: SELECT "table", "into" FROM modeldb.scorers.';
    END IF;
    RAISE EXCEPTION 'the table % has no scorer%', quote_nullable(left(name, 100)), coalesce(' into ' || quote_ident("into"), '')
        USING ERRCODE = 'MD601', HINT = 'SELECT "table", "into" FROM modeldb.scorers lists those that there are.';
END
$$;
COMMENT ON FUNCTION modeldb._pick_scorer(text, text[], text) IS
    'The asynchronous scorer of the table of this schema and name. Errors: MD601, MD603.';
