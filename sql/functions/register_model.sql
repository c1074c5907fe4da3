CREATE OR REPLACE FUNCTION modeldb.register_model(
    name text,
    artifact bytea,
    signature jsonb,
    description text DEFAULT NULL,
    metrics jsonb DEFAULT '{}',
    params jsonb DEFAULT '{}',
    tags jsonb DEFAULT '{}',
    promote boolean DEFAULT false,
    smoke jsonb DEFAULT NULL,
    provenance jsonb DEFAULT '{}',
    parity jsonb DEFAULT '{}',
    fingerprint jsonb DEFAULT '{}',
    OUT model text, OUT version integer, OUT digest text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    complete jsonb;
    too_large bigint := (SELECT s.max_artifact_bytes FROM modeldb.settings s);
BEGIN
    IF coalesce(register_model.name !~ '^[A-Za-z_][A-Za-z0-9_.-]{0,62}$', true) THEN
        RAISE EXCEPTION '% is not a name for a model', quote_nullable(left(register_model.name, 100)) USING
            ERRCODE = 'MD104',
            HINT = 'Names are up to 63 letters, digits, "_", "-" and ".", and start with a letter or "_".';
    END IF;
    IF artifact IS NULL OR signature IS NULL THEN
        RAISE EXCEPTION 'model %: artifact and signature may not be NULL', quote_literal(name)
            USING ERRCODE = 'MD108', HINT = 'Give the ONNX bytes and {"features": [...], "task": "..."}.';
    END IF;
    IF octet_length(artifact) > too_large THEN
        RAISE EXCEPTION 'model %: the artifact has % bytes, the limit is %', quote_literal(name),
            octet_length(artifact), too_large USING ERRCODE = 'MD306',
            HINT = 'An administrator may raise it: UPDATE modeldb.settings SET max_artifact_bytes = ...';
    END IF;
    complete := modeldb._gate(name, artifact, signature, smoke);
    PERFORM modeldb._lock_registry();  -- from here on nobody deletes the artifact that this version may share
    digest := encode(sha256(artifact), 'hex');
    INSERT INTO modeldb.artifact (digest, bytes) VALUES (register_model.digest, octet_length(artifact))
    ON CONFLICT (digest) DO NOTHING;
    IF FOUND THEN
        INSERT INTO modeldb.artifact_chunk (digest, seq, data)
        SELECT register_model.digest, i, substring(artifact FROM i * 1048576 + 1 FOR 1048576)
        FROM generate_series(0, (octet_length(artifact) - 1) / 1048576) AS i;
    END IF;

    model := name;
    INSERT INTO modeldb.model (name, description, created_by)
    VALUES (register_model.name, register_model.description, modeldb._who())
    ON CONFLICT (name) DO NOTHING;
    -- A number is not given twice: a rollback through the history would take the new version for the deleted one. Only a
    -- model that was deleted as a whole starts anew.
    SELECT coalesce(max(p.version), 0) + 1 INTO version FROM modeldb.publication p
    WHERE p.model = name AND p.epoch > coalesce((
        SELECT max(d.epoch) FROM modeldb.publication d
        WHERE d.model = register_model.name AND d.action = 'delete' AND d.version IS NULL), 0);
    INSERT INTO modeldb.model_version (model, version, digest, signature, description, metrics, params, tags,
        provenance, parity, fingerprint, created_by)
    VALUES (name, register_model.version, register_model.digest, complete, register_model.description,
        coalesce(register_model.metrics, '{}'), coalesce(register_model.params, '{}'),
        coalesce(register_model.tags, '{}'), coalesce(register_model.provenance, '{}'),
        coalesce(register_model.parity, '{}'), coalesce(register_model.fingerprint, '{}'), modeldb._who());
    IF smoke IS NOT NULL THEN
        INSERT INTO modeldb.smoke (model, version, cases) VALUES (name, register_model.version, register_model.smoke);
    END IF;
    PERFORM modeldb._publish('register', name, version, NULL);
    IF coalesce(register_model.promote, false) OR version = 1 THEN
        PERFORM modeldb.promote(name, version);
    END IF;
END
$$;
COMMENT ON FUNCTION modeldb.register_model(
    text, bytea, jsonb, text, jsonb, jsonb, jsonb, boolean, jsonb, jsonb, jsonb, jsonb
) IS
    'Store ready ONNX bytes as the next version of a model; the first becomes champion, a later one when promote is '
    'true. signature needs {"features": [{"name", "type"}, ...]} and, where the graph does not tell, task and classes; '
    'smoke may hold rows and expected outputs that are replayed before each promotion. Errors: MD104, MD108, MD303 to '
    'MD306, MD402, MD403.';
