CREATE OR REPLACE FUNCTION modeldb.cache()
RETURNS TABLE (digest text, bytes bigint, hits bigint, seconds_to_load float8)
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $$
try:
    call = SD["call"]
except KeyError:
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; call = SD["call"] = entry("cache")
return call()
$$;
COMMENT ON FUNCTION modeldb.cache() IS
    'What this backend has loaded: digest, bytes of the artifact, predictions answered, seconds that loading took. The '
    'budget is the setting modeldb.cache_mb (256).';
