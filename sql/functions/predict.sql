-- The planner inlines these one-line functions. record_send(ROW(features)) hands over any type in binary, with its type;
-- an anonymous record (type 2249) goes as JSON too, because only JSON keeps the names that a subquery gave its columns.

CREATE OR REPLACE FUNCTION modeldb._predict(model text, features bytea, epoch bigint) RETURNS float8
LANGUAGE plpython3u STABLE STRICT PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("predict")
return SD["call"](model, features, epoch)
$$;
COMMENT ON FUNCTION modeldb._predict(text, bytea, bigint) IS
    'predict() once inlined: features is record_send(ROW(row)), epoch is _epoch().';

CREATE OR REPLACE FUNCTION modeldb.predict(model text, features anyelement) RETURNS float8
LANGUAGE sql STABLE PARALLEL UNSAFE
AS $$
    SELECT CASE
        WHEN pg_catalog.pg_typeof(features)::pg_catalog.oid OPERATOR(pg_catalog.=) 2249::pg_catalog.oid
        THEN modeldb._predict(model, pg_catalog.record_send(ROW(features, pg_catalog.to_json(features))), modeldb._epoch())
        ELSE modeldb._predict(model, pg_catalog.record_send(ROW(features)), modeldb._epoch())
    END
$$;
COMMENT ON FUNCTION modeldb.predict(text, anyelement) IS
    'The number that the model predicts for one row, as its estimator''s predict() gives it: a regression''s '
    'value, a numeric label, a cluster, +1 or -1. features: a table row or composite (by column name), ROW(...) '
    'or a numeric array (by position), json or jsonb. NULL for a NULL row. Errors: MD101 to MD106, MD201 to '
    'MD207, MD210, MD307, MD401, MD402.';

CREATE OR REPLACE FUNCTION modeldb.predict(model text, features text) RETURNS float8
LANGUAGE sql STABLE PARALLEL UNSAFE
AS $$
    SELECT modeldb._predict(model, pg_catalog.record_send(ROW(features)), modeldb._epoch())
$$;
COMMENT ON FUNCTION modeldb.predict(text, text) IS
    'The same for features as JSON text: an object by name, or an array by position.';
