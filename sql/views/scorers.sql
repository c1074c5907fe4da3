CREATE OR REPLACE VIEW modeldb.scorers AS
SELECT s.relation AS "table", s."into", s.model, coalesce(called.version, a.version) AS version, s.mode,
    coalesce(activity.rows, 0) AS rows, coalesce(activity.errors, 0) AS errors, waiting.queued, waiting.oldest_waiting,
    modeldb._latency(recent.latencies, 0.5) AS p50_ms, modeldb._latency(recent.latencies, 0.99) AS p99_ms,
    (SELECT count(*) FROM modeldb.scorer_failures f WHERE f.scorer = s.id) AS failures,
    s.enrich,
    NOT pg_catalog.pg_has_role(c.relowner, 'modeldb_user', 'USAGE') OR (
        SELECT count(*) < CASE s.mode WHEN 'async' THEN 2 ELSE 1 END FROM pg_catalog.pg_trigger t
        JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
        JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE t.tgrelid = s.relation AND n.nspname = 'modeldb_scorers' AND p.proname = '_' || s.id
            AND p.proowner = c.relowner AND t.tgenabled IN ('O', 'A')
            -- A partition's inserts come through its parent as well, where only triggers for each row are fired.
            AND (t.tgtype & 1 = 1 OR NOT c.relispartition)
    ) OR EXISTS (
        SELECT FROM pg_catalog.unnest(
            ARRAY[s."into", s.label, s.model_version, s.scored_at, s.error]
                || s.reads || CASE s.mode WHEN 'async' THEN s.key END) AS needed (name)
        WHERE needed.name IS NOT NULL AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute b
            WHERE b.attrelid = s.relation AND b.attname = needed.name AND b.attnum > 0 AND NOT b.attisdropped)
    ) AS broken
FROM modeldb.scorer s
JOIN pg_catalog.pg_class c ON c.oid = s.relation
CROSS JOIN LATERAL modeldb._parse(s.model) called
LEFT JOIN modeldb.alias a ON a.model = called.model AND a.alias = called.alias
LEFT JOIN LATERAL (
    SELECT sum(y.rows)::bigint AS rows, sum(y.errors)::bigint AS errors
    FROM modeldb.scorer_activity y WHERE y.scorer = s.id
) activity ON true
LEFT JOIN LATERAL (
    SELECT modeldb._sum_latencies(array_agg(to_jsonb(y.latencies))) AS latencies
    FROM modeldb.scorer_activity y WHERE y.scorer = s.id AND y.at > now() - interval '1 hour'
) recent ON true
LEFT JOIN LATERAL (
    SELECT state.queued, state.oldest_waiting
    FROM (
        SELECT s.id FROM pg_catalog.pg_class q
        WHERE s.mode = 'async' AND q.oid = pg_catalog.to_regclass('modeldb_scorers.queue_' || s.id)
            AND q.relkind = 'r' AND q.relowner = c.relowner
        OFFSET 0
    ) AS there
    CROSS JOIN LATERAL modeldb._queue_state(there.id) AS state
) waiting ON true;
COMMENT ON VIEW modeldb.scorers IS
    'All scorers and how they are doing: the version that the model means now, rows scored and errors since it was '
    'attached, how many rows wait and for how long, how long scoring took in the last hour (async: from the row''s '
    'transaction to its score), how many rows are parked in scorer_failures; broken tells that a column or a '
    'trigger is gone, renamed or disabled, or that the table''s owner is another one or may not predict.';
