CREATE OR REPLACE FUNCTION modeldb._replay(model text, version integer) RETURNS void
LANGUAGE plpython3u VOLATILE
AS $$
try:
    call = SD["call"]
except KeyError:
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; call = SD["call"] = entry("replay")
return call(model, version)
$$;
COMMENT ON FUNCTION modeldb._replay(text, integer) IS
    'Run a version on its stored smoke rows; MD403 when it differs from what is stored.';
