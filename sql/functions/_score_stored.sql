CREATE OR REPLACE FUNCTION modeldb._score_stored(predictions text)
RETURNS TABLE (kept_values text[], prediction text, label text, probability text, error text, hash text, failure json)
LANGUAGE sql STABLE STRICT ROWS 200 PARALLEL UNSAFE SET extra_float_digits = 1
AS $$
    SELECT s.kept_values, modeldb._numbers(s.prediction, s.rows)::text, s.label,
        modeldb._numbers(s.probability, s.rows)::text, s.error, s.hash, s.failure
    FROM modeldb._score_set(predictions) AS s
$$;
COMMENT ON FUNCTION modeldb._score_stored(text) IS
    '_score_set() with the numbers as texts: what the materialized views are made of that were created before revision 0003.';
