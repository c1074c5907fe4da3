-- Online scoring: which tables are scored by what, what waits, what failed, and what was scored.

-- The trigger functions and the queues of scorers. They belong to the owners of the tables, who make them here, because
-- the schema of a table may be somebody else's.
CREATE SCHEMA IF NOT EXISTS modeldb_scorers;
COMMENT ON SCHEMA modeldb_scorers IS 'What attach_scorer() makes: trigger functions and queues, of the tables'' owners.';

ALTER TABLE modeldb.settings ADD COLUMN keep_events interval NOT NULL DEFAULT '7 days' CHECK (keep_events > '0');
COMMENT ON COLUMN modeldb.settings.keep_events IS 'For how long a program can resume the events of asynchronous scorers.';

CREATE TABLE modeldb.scorer (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation regclass NOT NULL,
    "into" text NOT NULL,
    model text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('sync', 'async')),
    class text,
    columns jsonb NOT NULL,
    reads text[] NOT NULL,
    enrich_reads text[] NOT NULL,
    key text[] NOT NULL,
    label text,
    model_version text,
    scored_at text,
    error text,
    "where" text,
    on_error text NOT NULL CHECK (on_error IN ('raise', 'null')),
    reject_if text,
    enrich text,
    position bigint NOT NULL DEFAULT 0,
    attached_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    attached_by text NOT NULL,
    UNIQUE (relation, "into")
);
COMMENT ON TABLE modeldb.scorer IS 'What attach_scorer() was told. The view scorers shows it with how the scorer is doing.';
COMMENT ON SEQUENCE modeldb.scorer_id_seq IS 'Numbers the scorers; no number comes twice.';
COMMENT ON COLUMN modeldb.scorer."into" IS 'The column of the score; label, model_version, scored_at and error are columns too.';
COMMENT ON COLUMN modeldb.scorer.columns IS
    'The features in the order in which they are handed over: [{"feature": ..., "column": ..., "enriched": whether the '
    'column is one of enrich and not of the table}].';
COMMENT ON COLUMN modeldb.scorer.reads IS
    'The columns of the table that the score depends on: the features'', and those in where, reject_if and enrich.';
COMMENT ON COLUMN modeldb.scorer.enrich_reads IS 'Those that enrich reads, the arguments of the function made of it.';
COMMENT ON COLUMN modeldb.scorer."where" IS
    'As PostgreSQL understood it, with qualified names, over a row new; so is reject_if. enrich is as it was given.';
COMMENT ON COLUMN modeldb.scorer.key IS 'The columns that identify a row; none for a synchronous scorer of a table without a key.';
COMMENT ON COLUMN modeldb.scorer.position IS 'The position of the newest event: an asynchronous scorer numbers what it has scored.';

CREATE TABLE modeldb.scorer_failures (
    scorer integer NOT NULL REFERENCES modeldb.scorer ON DELETE CASCADE,
    key jsonb NOT NULL,
    error text NOT NULL,
    attempts integer NOT NULL,
    queued_at timestamptz NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (scorer, key)
);
ALTER TABLE modeldb.scorer_failures ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE modeldb.scorer_failures IS
    'Rows that an asynchronous scorer has given up, with the reason; retry_failures() queues them again. A row is shown to '
    'whoever has the rights of its table''s owner.';

CREATE TABLE modeldb.scorer_activity (
    scorer integer NOT NULL REFERENCES modeldb.scorer ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    rows bigint NOT NULL,
    errors bigint NOT NULL,
    latencies bigint[] NOT NULL
);
CREATE INDEX scorer_activity_at ON modeldb.scorer_activity (scorer, at);
COMMENT ON TABLE modeldb.scorer_activity IS
    'How many rows scorers have scored, in bits that are added up: writers only insert, and so never wait for each other.';
COMMENT ON COLUMN modeldb.scorer_activity.latencies IS
    'How many rows took how long: element i counts those of up to 2^(i/4) microseconds. sync: the scoring itself; async: from '
    'the row''s transaction to its score.';

CREATE TABLE modeldb.scored_batch (
    scorer integer NOT NULL REFERENCES modeldb.scorer ON DELETE CASCADE,
    last bigint NOT NULL,
    version integer NOT NULL,
    scored_at timestamptz NOT NULL,
    keys jsonb NOT NULL,
    scores double precision[] NOT NULL,
    labels text[],
    PRIMARY KEY (scorer, last)
);
-- Compressing would take longer than writing what it saves.
ALTER TABLE modeldb.scored_batch ALTER keys SET STORAGE EXTERNAL, ALTER scores SET STORAGE EXTERNAL;
CREATE INDEX scored_batch_scored_at ON modeldb.scored_batch (scored_at);
COMMENT ON TABLE modeldb.scored_batch IS
    'What asynchronous scorers have scored, for programs that follow the events: rows with consecutive positions up to last.';
COMMENT ON COLUMN modeldb.scored_batch.keys IS 'An array of keys, each an array of the key columns'' values.';
