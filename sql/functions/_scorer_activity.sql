-- The statistics of scorers.

CREATE OR REPLACE FUNCTION modeldb._compact_activity(scorer integer) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    -- Elsewhere somebody else's adding up would let the writer's transaction fail.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;
    END IF;
    WITH old AS (
        DELETE FROM modeldb.scorer_activity d WHERE d.ctid IN (
            SELECT a.ctid FROM modeldb.scorer_activity a
            WHERE a.scorer = _compact_activity.scorer AND a.at < date_trunc('hour', now()) - interval '1 hour'
                AND a.at <> date_trunc('hour', a.at)  -- that of a whole hour
            FOR UPDATE SKIP LOCKED)
        RETURNING date_trunc('hour', d.at) AS hour, d.rows, d.errors, d.latencies
    )
    INSERT INTO modeldb.scorer_activity (scorer, at, rows, errors, latencies)
    SELECT _compact_activity.scorer, o.hour, sum(o.rows), sum(o.errors), modeldb._sum_latencies(
        array_agg(to_jsonb(o.latencies)))
    FROM old o GROUP BY o.hour;
END
$$;
COMMENT ON FUNCTION modeldb._compact_activity(integer) IS
    'Add up the activity of a scorer by the hour, but for the last one or two; what others are just adding up is left out.';

CREATE OR REPLACE FUNCTION modeldb._sum_latencies(latencies jsonb[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.array_agg(bucket.rows ORDER BY bucket.position) FROM (
        SELECT e.position, pg_catalog.sum(e.rows::bigint)::bigint AS rows
        FROM pg_catalog.unnest(latencies) AS l (rows)
        CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text(l.rows) WITH ORDINALITY AS e (rows, position)
        GROUP BY e.position
    ) AS bucket;
END;
COMMENT ON FUNCTION modeldb._sum_latencies(jsonb[]) IS
    'The sums of the elements of arrays, which may be of different lengths.';

CREATE OR REPLACE FUNCTION modeldb._latency(latencies bigint[], fraction double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.power(2, pg_catalog.min(up_to.position) / 4.0)::double precision / 1000
    FROM (
        SELECT e.position, pg_catalog.sum(e.rows) OVER (ORDER BY e.position) AS rows, pg_catalog.sum(e.rows) OVER () AS total
        FROM pg_catalog.unnest(latencies) WITH ORDINALITY AS e (rows, position)
    ) AS up_to
    WHERE up_to.rows >= fraction * up_to.total AND up_to.total > 0;
END;
COMMENT ON FUNCTION modeldb._latency(bigint[], double precision) IS
    'The milliseconds within which this fraction of rows was scored, by the counts in scorer_activity.latencies.';
