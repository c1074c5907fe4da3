-- Predictions of whole tables: what is kept for whom, when it is refreshed, and what each run did.

ALTER TABLE modeldb.settings ADD COLUMN keep_runs integer NOT NULL DEFAULT 1000 CHECK (keep_runs > 0);
COMMENT ON COLUMN modeldb.settings.keep_runs IS 'How many runs batch_runs keeps of each predictions; older ones are deleted.';

CREATE TABLE modeldb.prediction_set (
    name text PRIMARY KEY,
    stored text NOT NULL,
    source text NOT NULL,
    owns_source boolean NOT NULL,
    model text NOT NULL,
    key text[] NOT NULL CHECK (cardinality(key) > 0),
    columns text[] NOT NULL,
    shape text[] NOT NULL,
    class text,
    on_error text NOT NULL CHECK (on_error IN ('raise', 'null')),
    incremental boolean NOT NULL,
    changed_at text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    created_by text NOT NULL,
    version integer,
    setting bigint,
    scored_at timestamptz,
    rows bigint,
    complete_until timestamptz
);
COMMENT ON TABLE modeldb.prediction_set IS
    'What create_predictions() made, and what its last successful run left: the views read the version and scored_at here.';
COMMENT ON COLUMN modeldb.prediction_set.name IS 'The view, with its schema and quoted where need be; so are stored and source.';
COMMENT ON COLUMN modeldb.prediction_set.stored IS 'The materialized view, or the table of incremental predictions.';
COMMENT ON COLUMN modeldb.prediction_set.owns_source IS 'The source is a view that was made of a query, and goes with the predictions.';
COMMENT ON COLUMN modeldb.prediction_set.shape IS 'Which of prediction, label and probability the model''s task has.';
COMMENT ON COLUMN modeldb.prediction_set.setting IS 'The epoch of the model''s newest setting, made by configure(), at the last run.';
COMMENT ON COLUMN modeldb.prediction_set.scored_at IS 'The predictions are those of the source''s rows as they were at this time.';
COMMENT ON COLUMN modeldb.prediction_set.complete_until IS
    'Incremental: every row whose changed_at is before this has been taken notice of.';

CREATE TABLE modeldb.prediction_schedule (
    predictions text PRIMARY KEY REFERENCES modeldb.prediction_set ON DELETE CASCADE,
    cron text NOT NULL,
    scheduled_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    scheduled_by text NOT NULL,
    handled_until timestamptz NOT NULL DEFAULT pg_catalog.now(),
    attempted_for timestamptz,
    attempts integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE modeldb.prediction_schedule IS
    'When predictions are refreshed: five fields of cron, in UTC. pg_cron runs them where it is at work, else modeldb worker.';
COMMENT ON COLUMN modeldb.prediction_schedule.handled_until IS 'Times of the schedule up to this one need no run any more.';
COMMENT ON COLUMN modeldb.prediction_schedule.attempts IS
    'How often a worker has begun the run for attempted_for; more than one means that the attempts before did not end.';

CREATE TABLE modeldb.batch_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    predictions text NOT NULL,
    model text NOT NULL,
    version integer,
    runner text NOT NULL CHECK (runner IN ('session', 'pg_cron', 'worker', 'score')),
    run_by text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    rows bigint,
    scored bigint,
    rows_per_second double precision,
    error text,
    sqlstate text
);
COMMENT ON SEQUENCE modeldb.batch_runs_id_seq IS 'Numbers of runs.';
CREATE INDEX batch_runs_newest ON modeldb.batch_runs (predictions, id DESC);
ALTER TABLE modeldb.batch_runs ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE modeldb.batch_runs IS
    'Every run: who ran it, when, how many rows there were and how many were scored by which version, or the error.';

CREATE TABLE modeldb.score_job (
    target text PRIMARY KEY,
    relation oid NOT NULL,
    source text NOT NULL,
    model text NOT NULL,
    version integer NOT NULL,
    key text[] NOT NULL,
    columns text[] NOT NULL,
    class text,
    on_error text NOT NULL CHECK (on_error IN ('raise', 'null')),
    snapshot pg_catalog.pg_snapshot,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    started_by text NOT NULL,
    finished_at timestamptz,
    rows bigint
);
COMMENT ON TABLE modeldb.score_job IS 'What `modeldb score` writes into which table, so that an interrupted one can go on.';
COMMENT ON COLUMN modeldb.score_job.relation IS 'The target itself: a table that was made anew under its name is another one.';
COMMENT ON COLUMN modeldb.score_job.snapshot IS 'What the rows that are in the target were read by.';
