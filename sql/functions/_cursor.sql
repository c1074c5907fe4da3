-- Reading by chunks, for the batch functions: PL/Python's own cursors make a dict of every row.

-- No search_path is set: names in the query mean what they mean to the caller.
CREATE OR REPLACE FUNCTION modeldb._open(query text) RETURNS refcursor
LANGUAGE plpgsql STABLE STRICT
AS $$
DECLARE
    opened refcursor;
BEGIN
    OPEN opened NO SCROLL FOR EXECUTE query;
    RETURN opened;
END
$$;
COMMENT ON FUNCTION modeldb._open(text) IS
    'A cursor on a query, as the invoker. STABLE, so that it sees what the calling statement sees.';

CREATE OR REPLACE FUNCTION modeldb._next(cursor refcursor, count integer) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE STRICT
AS $$
BEGIN
    RETURN QUERY EXECUTE pg_catalog.format('FETCH %s FROM %I', count, cursor);
END
$$;
COMMENT ON FUNCTION modeldb._next(refcursor, integer) IS
    'The next rows of a cursor. Functions in its query work now, so that again no search_path is set.';

CREATE OR REPLACE FUNCTION modeldb._close(cursor refcursor) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CLOSE cursor;
END
$$;
COMMENT ON FUNCTION modeldb._close(refcursor) IS 'Close a cursor.';
