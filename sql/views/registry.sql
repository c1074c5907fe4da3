CREATE OR REPLACE VIEW modeldb.versions AS
SELECT v.model, v.version, v.engine, v.signature ->> 'task' AS task,
    jsonb_array_length(v.signature -> 'features') AS features, v.signature ->> 'precision' AS precision,
    ARRAY(SELECT a.alias FROM modeldb.alias a WHERE a.model = v.model AND a.version = v.version ORDER BY a.alias)
        AS aliases,
    v.description, v.metrics, v.params, v.tags, v.digest, f.bytes, v.created_at, v.created_by, v.retired_at
FROM modeldb.model_version v
JOIN modeldb.artifact f ON f.digest = v.digest;
COMMENT ON VIEW modeldb.versions IS 'Every version of every model with what points at it, its metrics and its size.';

CREATE OR REPLACE VIEW modeldb.models AS
SELECT m.name, champion.version AS champion, newest.version AS newest, newest.versions, v.signature ->> 'task' AS task,
    jsonb_array_length(v.signature -> 'features') AS features, v.signature -> 'classes' AS classes, v.metrics,
    coalesce((SELECT s.on_null FROM modeldb.model_setting s WHERE s.model = m.name ORDER BY s.epoch DESC LIMIT 1),
        'raise') AS on_null,
    coalesce(v.description, m.description) AS description, m.created_at, m.created_by
FROM modeldb.model m
LEFT JOIN modeldb.alias champion ON champion.model = m.name AND champion.alias = 'champion'
LEFT JOIN LATERAL (
    SELECT max(n.version) AS version, count(*) AS versions FROM modeldb.model_version n WHERE n.model = m.name
) newest ON true
LEFT JOIN modeldb.model_version v ON v.model = m.name AND v.version = coalesce(champion.version, newest.version);
COMMENT ON VIEW modeldb.models IS 'Every model with its champion; task, classes, metrics and description are the champion''s.';

CREATE OR REPLACE VIEW modeldb.aliases AS
SELECT a.model, a.alias, a.version, h.action, h.changed_at, h.changed_by
FROM modeldb.alias a
JOIN modeldb.alias_history h ON h.epoch = a.epoch;
COMMENT ON VIEW modeldb.aliases IS 'Where each alias points, since when, and who let it.';
