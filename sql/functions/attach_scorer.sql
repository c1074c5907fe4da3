-- No search_path is set: names mean what they mean to the caller. What is set keeps values exact in expressions, which
-- PostgreSQL writes out again, and lets them mean the same to any session.
CREATE OR REPLACE FUNCTION modeldb._attach_scorer(
    "table" text, model text, "into" text, mode text, label text, model_version text, scored_at text, columns jsonb,
    "where" text, on_error text, reject_if text, enrich text, class text, key text[]
) RETURNS modeldb.scorer
LANGUAGE plpython3u VOLATILE PARALLEL UNSAFE
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET quote_all_identifiers = off
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("attach_scorer")
return SD["call"](*args)
$$;
COMMENT ON FUNCTION modeldb._attach_scorer(
    text, text, text, text, text, text, text, jsonb, text, text, text, text, text, text[]) IS
    'The body of attach_scorer(). Runs as the caller, who has the rights of the table''s owner.';

CREATE OR REPLACE FUNCTION modeldb.attach_scorer(
    "table" text, model text, "into" text DEFAULT 'score', mode text DEFAULT 'sync', label text DEFAULT NULL,
    model_version text DEFAULT NULL, scored_at text DEFAULT NULL, columns jsonb DEFAULT '{}', "where" text DEFAULT NULL,
    on_error text DEFAULT 'raise', reject_if text DEFAULT NULL, enrich text DEFAULT NULL, class text DEFAULT NULL,
    key text[] DEFAULT NULL
) RETURNS modeldb.scorer
LANGUAGE sql VOLATILE
AS $$
    SELECT modeldb._attach_scorer(
        "table", model, "into", mode, label, model_version, scored_at, columns, "where", on_error, reject_if, enrich, class,
        key)
$$;
COMMENT ON FUNCTION modeldb.attach_scorer(
    text, text, text, text, text, text, text, jsonb, text, text, text, text, text, text[]) IS
    'Have the rows of a table scored by a model: while they are written (mode sync), or soon after by a worker (async). '
    'The score is what predict() gives, or the probability of a class; label, model_version and scored_at name columns for '
    'more. Columns that are absent are added. An update of columns that the score does not depend on costs nothing. '
    'Detach the scorer before the table is given to another owner. Returns what was attached. Errors: MD101 to MD106, MD108, MD602, MD603, MD907.';
