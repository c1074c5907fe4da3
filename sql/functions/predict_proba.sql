CREATE OR REPLACE FUNCTION modeldb._predict_proba(model text, features bytea, epoch bigint) RETURNS float8[]
LANGUAGE plpython3u STABLE STRICT PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("predict_proba")
return SD["call"](model, features, epoch)
$$;
COMMENT ON FUNCTION modeldb._predict_proba(text, bytea, bigint) IS
    'predict_proba() once inlined.';

CREATE OR REPLACE FUNCTION modeldb._predict_proba(model text, features bytea, epoch bigint, label text) RETURNS float8
LANGUAGE plpython3u STABLE STRICT PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("predict_proba_of")
return SD["call"](model, features, epoch, label)
$$;
COMMENT ON FUNCTION modeldb._predict_proba(text, bytea, bigint, text) IS
    'predict_proba() of one class once inlined.';

CREATE OR REPLACE FUNCTION modeldb.predict_proba(model text, features anyelement) RETURNS float8[]
LANGUAGE sql STABLE PARALLEL UNSAFE
AS $$
    SELECT CASE
        WHEN pg_catalog.pg_typeof(features)::pg_catalog.oid OPERATOR(pg_catalog.=) 2249::pg_catalog.oid
        THEN modeldb._predict_proba(model, pg_catalog.record_send(ROW(features, pg_catalog.to_json(features))), modeldb._epoch())
        ELSE modeldb._predict_proba(model, pg_catalog.record_send(ROW(features)), modeldb._epoch())
    END
$$;
COMMENT ON FUNCTION modeldb.predict_proba(text, anyelement) IS
    'The probabilities of the classes for one row, in the order of describe(model) -> classes. features as for '
    'predict(). Errors: MD208 when the model has none, and those of predict().';

CREATE OR REPLACE FUNCTION modeldb.predict_proba(model text, features text) RETURNS float8[]
LANGUAGE sql STABLE PARALLEL UNSAFE
AS $$
    SELECT modeldb._predict_proba(model, pg_catalog.record_send(ROW(features)), modeldb._epoch())
$$;
COMMENT ON FUNCTION modeldb.predict_proba(text, text) IS
    'The same for features as JSON text: an object by name, or an array by position.';

CREATE OR REPLACE FUNCTION modeldb.predict_proba(model text, features anyelement, class text) RETURNS float8
LANGUAGE sql STABLE PARALLEL UNSAFE
AS $$
    SELECT CASE
        WHEN pg_catalog.pg_typeof(features)::pg_catalog.oid OPERATOR(pg_catalog.=) 2249::pg_catalog.oid
        THEN modeldb._predict_proba(model, pg_catalog.record_send(ROW(features, pg_catalog.to_json(features))), modeldb._epoch(), class)
        ELSE modeldb._predict_proba(model, pg_catalog.record_send(ROW(features)), modeldb._epoch(), class)
    END
$$;
COMMENT ON FUNCTION modeldb.predict_proba(text, anyelement, text) IS
    'The probability of one class for one row. features as for predict(). Errors: MD208, MD209 for an unknown '
    'class, and those of predict().';

CREATE OR REPLACE FUNCTION modeldb.predict_proba(model text, features text, class text) RETURNS float8
LANGUAGE sql STABLE PARALLEL UNSAFE
AS $$
    SELECT modeldb._predict_proba(model, pg_catalog.record_send(ROW(features)), modeldb._epoch(), class)
$$;
COMMENT ON FUNCTION modeldb.predict_proba(text, text, text) IS
    'The same for features as JSON text: an object by name, or an array by position.';
