CREATE OR REPLACE FUNCTION modeldb._describe_predictions(predictions text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    card jsonb;
BEGIN
    SELECT to_jsonb(p) || jsonb_build_object(
        'key', to_jsonb(s.key), 'columns', to_jsonb(s.columns), 'outputs', to_jsonb(s.shape), 'class', s.class,
        'on_error', s.on_error, 'changed_at', s.changed_at, 'stored', s.stored,
        'query', CASE WHEN s.owns_source THEN pg_get_viewdef(modeldb._relation(s.source)) END,
        'complete_until', s.complete_until, 'created_at', s.created_at, 'created_by', s.created_by,
        'runs', (SELECT coalesce(jsonb_agg(to_jsonb(r) - 'predictions' ORDER BY r.id DESC), '[]') FROM (
            SELECT * FROM modeldb.batch_runs b WHERE b.predictions = s.name ORDER BY b.id DESC LIMIT 10) r))
    INTO card
    FROM modeldb.prediction_set s JOIN modeldb.predictions p ON p.name = s.name
    WHERE s.name = predictions;
    RETURN card;
END
$$;
COMMENT ON FUNCTION modeldb._describe_predictions(text) IS 'The body of describe_predictions().';

CREATE OR REPLACE FUNCTION modeldb.describe_predictions(name text) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
    SELECT modeldb._describe_predictions(modeldb._predictions(name))
$$;
COMMENT ON FUNCTION modeldb.describe_predictions(text) IS
    'The card of predictions: what they are made of, how fresh they are, their schedule, and the last ten runs. '
    'Errors: MD501.';
