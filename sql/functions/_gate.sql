CREATE OR REPLACE FUNCTION modeldb._gate(model text, artifact bytea, signature jsonb, smoke jsonb) RETURNS jsonb
LANGUAGE plpython3u VOLATILE
AS $$
try:
    call = SD["call"]
except KeyError:
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; call = SD["call"] = entry("gate")
return call(model, artifact, signature, smoke)
$$;
COMMENT ON FUNCTION modeldb._gate(text, bytea, jsonb, jsonb) IS
    'What every artifact passes before it is stored: it parses, is safe, fits its signature, loads, and '
    'reproduces its smoke rows. Returns the completed signature. Errors: MD303 to MD305, MD402, MD403.';
