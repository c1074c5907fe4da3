CREATE OR REPLACE VIEW modeldb.predictions AS
SELECT s.name, pg_catalog.pg_get_userbyid(c.relowner) AS owner, s.model, s.source, s.incremental,
    s.version, s.version IS DISTINCT FROM current.version AS behind, current.version AS current_version,
    s.rows, s.scored_at, now() - s.scored_at AS age, h.cron AS schedule,
    last.finished_at AS last_run, last.runner AS last_runner,
    CASE WHEN pg_catalog.pg_has_role(modeldb._owner(s.name), 'USAGE') OR last.error IS NULL THEN last.error
        ELSE 'for the owner to see' END AS last_error,
    modeldb._shown_by(s.name, s.stored) IS NULL AS broken
FROM modeldb.prediction_set s
LEFT JOIN pg_catalog.pg_class c ON c.oid = modeldb._relation(s.stored)
LEFT JOIN modeldb.prediction_schedule h ON h.predictions = s.name
LEFT JOIN LATERAL (
    SELECT coalesce(called.version, a.version) AS version
    FROM modeldb._parse(s.model) called
    LEFT JOIN modeldb.alias a ON a.model = called.model AND a.alias = called.alias
) current ON true
LEFT JOIN LATERAL (
    SELECT r.finished_at, r.runner, r.error FROM modeldb.batch_runs r
    WHERE r.predictions = s.name ORDER BY r.id DESC LIMIT 1
) last ON true;
COMMENT ON VIEW modeldb.predictions IS
    'All batch predictions and how fresh they are: age is that of the rows that were scored, behind tells that the model '
    'means another version by now, broken that the view or what they are stored in was dropped, or given to another '
    'owner than the other; last_error is the last run''s.';
