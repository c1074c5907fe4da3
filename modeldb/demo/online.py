"""The demo's part on online scoring: payments that are scored as they are inserted."""

from __future__ import annotations

import numpy as np

from modeldb.cli.card import proof
from modeldb.cli.output import working
from modeldb.database import Database
from modeldb.demo import payments, remains, stream
from modeldb.demo.live import Watch, finish, watch
from modeldb.demo.tables import Session
from modeldb.demo.telling import chapter, mistake, note, print_code, tell

MODEL = "fraud"
PER_SECOND, SECONDS = 400, 5.0

PYTHON = f'''\
enrich = """
{payments.ENRICH}"""
rows = pandas.read_sql(db.enriched("payments", enrich), db.engine)
pipeline = Pipeline([
    ("columns", ColumnTransformer([("merchant", OneHotEncoder(), ["merchant"])], remainder="passthrough")),
    ("trees", HistGradientBoostingClassifier(max_iter={payments.TREES})),
])
pipeline.fit(rows[{list(payments.FEATURES)}], rows.fraud)
db.register("fraud", pipeline, sample=sample)'''
SYNC = f"""\
SELECT "into", mode, model
FROM attach_scorer('payments', 'fraud', "into" => 'score', class => '1', reject_if => 'score > 0.9', enrich => $$
{payments.ENRICH}
$$);"""
ONE = """\
INSERT INTO payments (customer, merchant, amount) VALUES (7, 'groceries', 14.90), (7, 'electronics', 79)
RETURNING id, amount, round(score::numeric, 4) AS score;"""
REJECTED = "INSERT INTO payments (customer, merchant, amount) VALUES (7, 'gift cards', 250);"
ASYNC = """\
SELECT "into", mode, model, key
FROM attach_scorer('payments', 'fraud', "into" => 'later', mode => 'async', class => '1', scored_at => 'later_at',
                   enrich => (SELECT enrich FROM scorers WHERE "table" = 'payments'::regclass AND "into" = 'score'));"""
SAME = """\
SELECT count(*) AS payments, count(score) AS scored, count(later) AS scored_later,
       count(*) FILTER (WHERE abs(score - later) < 1e-9) AS the_same,
       round(avg(extract(epoch FROM later_at - paid_at)), 3) AS seconds_later
FROM payments WHERE later_at IS NOT NULL;"""
SUSPICIOUS = """\
SELECT id, customer, merchant, amount, round(score::numeric, 4) AS score FROM payments
WHERE fraud IS NULL ORDER BY score DESC LIMIT 3;"""


def prepare(db: Database) -> None:
    """Delete what an earlier demo has left. Raises InstallationError (MD900) where it is somebody else's."""
    with db.transaction() as connection:
        payments.drop(connection)
    remains.forget(db, MODEL)


def run(db: Database, session: Session) -> None:
    """Tell this part; the table payments and the model are not there yet."""
    random = np.random.default_rng(0)
    chapter("A month of payments, and a model of fraud: two of its features are queries, in training as in scoring")
    with working("making payments up"):
        payments.load_history(db, random)
    register(db)
    chapter("Scored as they are inserted; what is beyond doubt is rejected")
    tell(session, SYNC, ONE)
    mistake(session, REJECTED)
    chapter("The same once more, in the background: inserts only take note, and modeldb worker scores")
    tell(session, ASYNC)
    chapter(f"A stream of {PER_SECOND} payments per second, each a transaction; the view scorers, watched")
    stream_payments(db, random)
    tell(session, SAME, SUSPICIOUS)


def register(db: Database) -> None:
    """Train and register the model, and show the Python for it."""
    print_code(PYTHON, "python")
    with working("training"):
        rows = payments.read(db)
        pipeline = payments.train(rows)
    with working("converting the pipeline and proving that it predicts the same"):
        version = db.register(
            MODEL,
            pipeline,
            sample=rows[list(payments.FEATURES)].sample(2000, random_state=0),
            description="the payment is fraud",
            params={"trees": payments.TREES},
            tags=remains.TAGS,
        )
    note(f"{version}. {proof(version.parity)}")


def stream_payments(db: Database, random: np.random.Generator) -> None:
    """Insert payments for some seconds with a worker of its own, show how they are scored, and wait for the last."""
    conninfo = stream.target(db)
    payments_now = stream.Stream(conninfo, random, per_second=PER_SECOND)
    with stream.worker(conninfo):
        watched = Watch(db, payments_now)
        with payments_now.running():
            watch(watched, SECONDS)
        finish(watched)
    note("A busy session tells once a second what it has scored: of its last one, the table may know nothing.")
