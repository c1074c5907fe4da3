CREATE OR REPLACE FUNCTION modeldb.load(model text)
RETURNS TABLE (digest text, seq integer, data bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    wanted text := (SELECT r.digest FROM modeldb._route(load.model) r);
BEGIN
    RETURN QUERY SELECT c.digest, c.seq, c.data FROM modeldb.artifact_chunk c WHERE c.digest = wanted ORDER BY c.seq;
END
$$;
COMMENT ON FUNCTION modeldb.load(text) IS
    'The ONNX bytes of a version, in chunks to be joined in the order of seq, with the SHA-256 that they must have. For '
    'publishers: it hands out weights. Errors: MD101 to MD104, MD106.';
