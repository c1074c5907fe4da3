CREATE OR REPLACE FUNCTION modeldb._scored_position(scorer integer) RETURNS bigint
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    who CONSTANT text := modeldb._who();
    scored record;
BEGIN
    PERFORM modeldb._check_unrestricted();  -- a worker or superuser, for whom somebody's trigger runs, may read more
    SELECT s.position, s.relation, c.relrowsecurity, c.relowner, r.rolsuper OR r.rolbypassrls AS sees_all INTO scored
    FROM modeldb.scorer s JOIN pg_class c ON c.oid = s.relation, pg_roles r
    WHERE s.id = _scored_position.scorer AND r.rolname = who;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the scorer was detached, or its table dropped' USING ERRCODE = 'MD601',
            HINT = 'SELECT "table", "into" FROM modeldb.scorers lists those that there are.';
    ELSIF NOT has_table_privilege(who, scored.relation, 'SELECT') THEN
        RAISE EXCEPTION 'role % may not read the table %', quote_literal(who), scored.relation
            USING ERRCODE = 'MD907', HINT = 'GRANT SELECT on the table lets a role follow its events.';
    ELSIF scored.relrowsecurity AND NOT scored.sees_all AND NOT pg_has_role(who, scored.relowner, 'USAGE') THEN
        RAISE EXCEPTION 'the table % has row-level security, and events do not', scored.relation
            USING ERRCODE = 'MD907', HINT = 'Its owner can follow the events, and roles that bypass row-level security.';
    END IF;
    RETURN scored.position;
END
$$;
COMMENT ON FUNCTION modeldb._scored_position(integer) IS
    'The position of the newest event of a scorer, to whoever may read its table. Errors: MD601, MD907.';

CREATE OR REPLACE FUNCTION modeldb._scored(scorer integer, after bigint, most integer)
RETURNS TABLE ("position" bigint, key jsonb, score double precision, label text, version integer, scored_at timestamptz)
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    newest CONSTANT bigint := modeldb._scored_position(scorer);
    oldest bigint;
BEGIN
    SELECT b.last - cardinality(b.scores) + 1 INTO oldest FROM modeldb.scored_batch b
    WHERE b.scorer = _scored.scorer AND b.last > after ORDER BY b.last LIMIT 1;
    IF after > newest OR coalesce(oldest, newest + 1) > after + 1 AND after < newest THEN
        RAISE EXCEPTION 'the events after position % are not there; the newest is %', after, newest
            USING ERRCODE = 'MD605', DETAIL = coalesce('The oldest that is kept is ' || oldest || '.', 'None is kept.'),
            HINT = 'Read the table as it is, and follow the events from now on. settings.keep_events says how long '
                'they are kept; detaching a scorer forgets them.';
    END IF;
    RETURN QUERY
    SELECT b.last - cardinality(b.scores) + e.n, e.key, e.score, e.label, b.version, b.scored_at
    FROM (
        SELECT f.*, sum(cardinality(f.scores)) OVER (ORDER BY f.last) - cardinality(f.scores) AS before
        FROM (
            SELECT * FROM modeldb.scored_batch
            WHERE scored_batch.scorer = _scored.scorer AND scored_batch.last > after
            ORDER BY scored_batch.last LIMIT 200
        ) AS f
    ) AS b
    CROSS JOIN LATERAL ROWS FROM (jsonb_array_elements(b.keys), unnest(b.scores), unnest(b.labels))
        WITH ORDINALITY AS e (key, score, label, n)
    WHERE b.before < most AND b.last - cardinality(b.scores) + e.n > after
    ORDER BY 1;
END
$$;
COMMENT ON FUNCTION modeldb._scored(integer, bigint, integer) IS
    'The events of a scorer after a position: about so many, or some thousand more; none when there is nothing new. '
    'Errors: MD601, MD605, MD907.';

CREATE OR REPLACE FUNCTION modeldb._forget_events() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Always the oldest, whatever the clock did meanwhile: so what is left has no gaps.
    DELETE FROM modeldb.scored_batch b USING (
        SELECT o.scorer, max(o.last) AS last FROM modeldb.scored_batch o
        WHERE o.scored_at < now() - (SELECT s.keep_events FROM modeldb.settings s) GROUP BY o.scorer
    ) AS old
    WHERE b.scorer = old.scorer AND b.last <= old.last;
END
$$;
COMMENT ON FUNCTION modeldb._forget_events() IS 'Delete events that are older than settings.keep_events.';
