CREATE OR REPLACE FUNCTION modeldb._load(digest text) RETURNS void
LANGUAGE plpython3u STABLE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
try:
    call = SD["call"]
except KeyError:
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; call = SD["call"] = entry("load")
return call(digest)
$$;
COMMENT ON FUNCTION modeldb._load(text) IS
    'Put an artifact into the cache of this backend, once its bytes match the digest (MD307). Runs as the owner, '
    'because the caller may not read weights, and returns nothing.';
