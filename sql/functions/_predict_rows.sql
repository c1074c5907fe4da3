CREATE OR REPLACE FUNCTION modeldb._predict_rows(model text, rows bytea, epoch bigint) RETURNS bytea
LANGUAGE plpython3u STABLE STRICT PARALLEL UNSAFE
AS $$
try:
    call = SD["call"]
except KeyError:
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; call = SD["call"] = entry("predict_rows")
return call(model, rows, epoch)
$$;
COMMENT ON FUNCTION modeldb._predict_rows(text, bytea, bigint) IS
    'db.predict() and db.predict_proba(): JSON of many rows by position in, JSON of labels, values and '
    'probabilities out.';
