-- The registry: models, their versions, where the aliases point, and the artifacts.

CREATE TABLE modeldb.settings (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    max_artifact_bytes bigint NOT NULL DEFAULT 536870912 CHECK (max_artifact_bytes BETWEEN 1 AND 1000000000)
);
COMMENT ON TABLE modeldb.settings IS 'Limits of this database, one row; an administrator updates it.';
INSERT INTO modeldb.settings DEFAULT VALUES;

CREATE TABLE modeldb.artifact (
    digest text PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
    bytes bigint NOT NULL CHECK (bytes > 0),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE modeldb.artifact IS 'ONNX graphs by the SHA-256 of their bytes.';

CREATE TABLE modeldb.artifact_chunk (
    digest text NOT NULL REFERENCES modeldb.artifact ON DELETE CASCADE,
    seq integer NOT NULL CHECK (seq >= 0),
    data bytea NOT NULL,
    PRIMARY KEY (digest, seq)
);
ALTER TABLE modeldb.artifact_chunk ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE modeldb.artifact_chunk IS 'The bytes of artifacts in pieces of 1 MiB, so that no value nears 1 GB.';

CREATE TABLE modeldb.model (
    name text PRIMARY KEY CHECK (name ~ '^[A-Za-z_][A-Za-z0-9_.-]{0,62}$'),
    description text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    created_by text NOT NULL
);
COMMENT ON TABLE modeldb.model IS 'Models by name.';

CREATE TABLE modeldb.model_version (
    model text NOT NULL REFERENCES modeldb.model ON DELETE CASCADE,
    version integer NOT NULL CHECK (version > 0),
    digest text NOT NULL REFERENCES modeldb.artifact,
    engine text NOT NULL DEFAULT 'onnx' CHECK (engine IN ('onnx')),
    signature jsonb NOT NULL,
    description text,
    metrics jsonb NOT NULL DEFAULT '{}',
    params jsonb NOT NULL DEFAULT '{}',
    tags jsonb NOT NULL DEFAULT '{}',
    provenance jsonb NOT NULL DEFAULT '{}',
    parity jsonb NOT NULL DEFAULT '{}',
    fingerprint jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    created_by text NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (model, version)
);
CREATE INDEX model_version_digest ON modeldb.model_version (digest);
COMMENT ON TABLE modeldb.model_version IS
    'Versions of models: artifact, signature and card (who, when, metrics, parity, fingerprint of the training rows).';

CREATE TABLE modeldb.smoke (
    model text NOT NULL,
    version integer NOT NULL,
    cases jsonb NOT NULL,
    PRIMARY KEY (model, version),
    FOREIGN KEY (model, version) REFERENCES modeldb.model_version ON DELETE CASCADE
);
COMMENT ON TABLE modeldb.smoke IS
    'Rows of the sample with what the estimator said of them; replayed before a version is promoted. They may be '
    'personal data, so modeldb_user cannot read them.';

CREATE TABLE modeldb.publication (
    epoch bigint PRIMARY KEY,
    action text NOT NULL,
    model text NOT NULL,
    version integer,
    alias text,
    published_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    published_by text NOT NULL
);
COMMENT ON TABLE modeldb.publication IS 'Append-only log of every change of the registry; epoch orders the changes.';

CREATE TABLE modeldb.alias_history (
    epoch bigint PRIMARY KEY,
    model text NOT NULL,
    alias text NOT NULL CHECK (alias ~ '^[A-Za-z_][A-Za-z0-9_.-]{0,62}$'),
    version integer,
    action text NOT NULL CHECK (action IN ('promote', 'rollback', 'drop')),
    back_to bigint,
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    changed_by text NOT NULL
);
CREATE INDEX alias_history_newest ON modeldb.alias_history (model, alias, epoch DESC);
COMMENT ON TABLE modeldb.alias_history IS
    'Append-only: where each alias has pointed, newest epoch last. version is NULL when the alias was dropped.';
COMMENT ON COLUMN modeldb.alias_history.back_to IS 'The entry that a rollback from this one returns to.';

CREATE TABLE modeldb.alias (
    model text NOT NULL,
    alias text NOT NULL,
    version integer NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES modeldb.model_version
);
COMMENT ON TABLE modeldb.alias IS 'Where each alias points now: the newest entry of alias_history.';

CREATE TABLE modeldb.model_setting (
    model text NOT NULL,
    epoch bigint NOT NULL,
    on_null text NOT NULL CHECK (on_null IN ('raise', 'null')),
    PRIMARY KEY (model, epoch)
);
COMMENT ON TABLE modeldb.model_setting IS 'Append-only: what configure() set, by epoch.';

CREATE SEQUENCE modeldb.epoch_seq;
COMMENT ON SEQUENCE modeldb.epoch_seq IS
    'Numbers for epochs. A number drawn by a transaction that rolled back is never used again, which matters: a backend '
    'may have cached what it saw under it.';

-- Replaced by every publication and by nothing else; a plan carries its value as a constant.
CREATE FUNCTION modeldb._epoch() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT 0::bigint';
COMMENT ON FUNCTION modeldb._epoch() IS
    'The newest epoch, as a literal: PostgreSQL carries its replacement to every plan, backend and standby.';
