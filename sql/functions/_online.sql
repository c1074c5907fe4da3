-- What the trigger function of a synchronous scorer calls for each row. STABLE, so that the model is what it is to the
-- snapshot of the statement. Trigger functions in databases call these functions by these arguments: an installation of a
-- later version replaces what they do, but not who calls them.

CREATE OR REPLACE FUNCTION modeldb._online(scorer integer, epoch bigint, features bytea) RETURNS float8
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("online")
return SD["call"](scorer, epoch, features)
$$;
COMMENT ON FUNCTION modeldb._online(integer, bigint, bytea) IS
    'The score of a row that is being written: features is record_send(ROW(value, ...)) in the order of scorer.columns. Is '
    'answered to the trigger function alone (MD907). Errors: those of predict().';

CREATE OR REPLACE FUNCTION modeldb._online_numbers(scorer integer, epoch bigint, features bytea) RETURNS float8
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("online_numbers")
return SD["call"](scorer, epoch, features)
$$;
COMMENT ON FUNCTION modeldb._online_numbers(integer, bigint, bytea) IS
    'The same for features that are all double precision: features is _memory(ARRAY[value, ...]).';

CREATE OR REPLACE FUNCTION modeldb._online_label(scorer integer) RETURNS text
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("online_label")
return SD["call"](scorer)
$$;
COMMENT ON FUNCTION modeldb._online_label(integer) IS
    'The label of the row that was scored last in this session; NULL if it has no score.';

CREATE OR REPLACE FUNCTION modeldb._online_version(scorer integer) RETURNS integer
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("online_version")
return SD["call"](scorer)
$$;
COMMENT ON FUNCTION modeldb._online_version(integer) IS
    'The version that scored the row that was scored last in this session.';

CREATE OR REPLACE FUNCTION modeldb._online_error(scorer integer, enriching text DEFAULT NULL) RETURNS text
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("online_error")
return SD["call"](scorer, enriching)
$$;
COMMENT ON FUNCTION modeldb._online_error(integer, text) IS
    'Why the row that came last in this session has no score; enriching: the error of enrich, to be counted.';

CREATE OR REPLACE FUNCTION modeldb._online_done() RETURNS trigger
LANGUAGE plpython3u VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
if "call" not in SD:
    import ctypes; server = ctypes.PyDLL(None)
    if hasattr(server, "MyBackendId") and server.IsInParallelMode() & 1: plpy.error("no predictions in a parallel plan before PostgreSQL 17", sqlstate="MD404", hint="Label the calling function PARALLEL UNSAFE.")
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("online_done")
return SD["call"](TD)
$$;
COMMENT ON FUNCTION modeldb._online_done() IS
    'Trigger, after a statement: write to scorer_activity what this session has counted of the scorer in its argument.';
