CREATE OR REPLACE FUNCTION modeldb._predict_json(model text, features bytea, epoch bigint) RETURNS jsonb
LANGUAGE plpython3u STABLE STRICT PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("predict_json")
return SD["call"](model, features, epoch)
$$;
COMMENT ON FUNCTION modeldb._predict_json(text, bytea, bigint) IS
    'predict_json() once inlined.';

CREATE OR REPLACE FUNCTION modeldb.predict_json(model text, features anyelement) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL UNSAFE
AS $$
    SELECT CASE
        WHEN pg_catalog.pg_typeof(features)::pg_catalog.oid OPERATOR(pg_catalog.=) 2249::pg_catalog.oid
        THEN modeldb._predict_json(model, pg_catalog.record_send(ROW(features, pg_catalog.to_json(features))), modeldb._epoch())
        ELSE modeldb._predict_json(model, pg_catalog.record_send(ROW(features)), modeldb._epoch())
    END
$$;
COMMENT ON FUNCTION modeldb.predict_json(text, anyelement) IS
    'Everything that the model says of one row: label, value, probabilities by class, every raw output of its '
    'graph, model and version. features and errors as for predict().';

CREATE OR REPLACE FUNCTION modeldb.predict_json(model text, features text) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL UNSAFE
AS $$
    SELECT modeldb._predict_json(model, pg_catalog.record_send(ROW(features)), modeldb._epoch())
$$;
COMMENT ON FUNCTION modeldb.predict_json(text, text) IS
    'The same for features as JSON text: an object by name, or an array by position.';
