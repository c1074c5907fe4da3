"""Payments that are made up: their table, their history, a pipeline that says which are fraud, and more of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection, text

from modeldb.demo.remains import HINT
from modeldb.errors import InstallationError

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from modeldb.database import Database

CUSTOMERS, HISTORY_ROWS, HISTORY_DAYS = 500, 20_000, 30
MERCHANTS = ("groceries", "fuel", "travel", "electronics", "gift cards")
RISKY = (0.02, 0.03, 0.1, 0.25, 0.6)  # of fraud, by merchant
COMMON = (0.55, 0.25, 0.1, 0.08, 0.02)  # of everything else
FRAUD = 0.03  # of the payments
FEATURES = ("merchant", "amount", "usual", "recent")
TREES = 30

COMMENT = "payments that are made up; made by modeldb demo"
TABLE = f"""
CREATE TABLE payments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer integer NOT NULL,
    merchant text NOT NULL,
    amount double precision NOT NULL,
    paid_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    fraud boolean
);
CREATE INDEX ON payments (customer, paid_at);
COMMENT ON TABLE payments IS '{COMMENT}';
COMMENT ON COLUMN payments.fraud IS 'what was found out later; NULL as long as nobody knows';
"""
ENRICH = """\
SELECT avg(p.amount) AS usual, count(*) FILTER (WHERE p.paid_at > new.paid_at - interval '1 hour') AS recent
FROM payments p
WHERE p.customer = new.customer AND p.paid_at < new.paid_at AND p.paid_at > new.paid_at - interval '30 days'"""


@dataclass(frozen=True)
class Payment:
    """One payment, as it is inserted."""

    customer: int
    merchant: str
    amount: float


def make_payments(random: np.random.Generator, count: int) -> Iterator[tuple[Payment, bool]]:
    """Payments, and whether each is fraud: then it is of several times what the customer usually pays."""
    customers = random.integers(CUSTOMERS, size=count)
    fraud = random.random(count) < FRAUD
    amounts = (10 + customers % 50) * random.lognormal(0, 0.4, count) * np.where(fraud, random.uniform(3, 12, count), 1)
    for customer, amount, is_fraud in zip(customers.tolist(), amounts.round(2).tolist(), fraud.tolist(), strict=True):
        merchant = random.choice(MERCHANTS, p=RISKY if is_fraud else COMMON)
        yield Payment(customer, str(merchant), amount), is_fraud


def load_history(db: Database, random: np.random.Generator) -> None:
    """Make the table payments and a month of them of which is known whether they were fraud, in one transaction.

    What an earlier demo left is replaced. Raises InstallationError (MD900) when the table payments is somebody else's.
    """
    began = datetime.now(timezone.utc) - timedelta(days=HISTORY_DAYS)
    times = np.sort(random.random(HISTORY_ROWS)) * HISTORY_DAYS
    with db.transaction() as connection:
        drop(connection)
        driver: Any = connection.connection.driver_connection
        driver.execute(TABLE)
        with driver.cursor().copy("COPY payments (customer, merchant, amount, fraud, paid_at) FROM STDIN") as copy:
            for (payment, fraud), days in zip(make_payments(random, HISTORY_ROWS), times.tolist(), strict=True):
                copy.write_row((*astuple(payment), fraud, began + timedelta(days=days)))
        driver.execute("ANALYZE payments")


def drop(connection: Connection) -> None:
    """Drop an earlier demo's table and its scorers. Raises InstallationError (MD900) when it is somebody else's."""
    query = "SELECT obj_description(to_regclass('payments')) AS comment, to_regclass('payments') IS NOT NULL AS there"
    found = connection.execute(text(query)).one()
    if not found.there:
        return
    if found.comment != COMMENT:
        raise InstallationError("this database has a table payments that the demo did not make", hint=HINT)
    scorers = """SELECT modeldb.detach_scorer('payments', "into")
                 FROM modeldb.scorers WHERE "table" = to_regclass('payments')"""
    connection.execute(text(scorers)).all()
    connection.execute(text("DROP TABLE payments"))


def read(db: Database) -> pd.DataFrame:
    """The known payments with their features, those of ENRICH included; ordered by id."""
    import pandas as pd

    query = f"SELECT * FROM ({db.enriched('payments', ENRICH)}) AS p WHERE fraud IS NOT NULL ORDER BY id"
    return pd.DataFrame(db.query(query)).astype({"usual": "float64", "fraud": "int64"})


def train(rows: pd.DataFrame) -> Pipeline:
    """A pipeline fitted to known payments: 1 is fraud, 0 is none."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("merchant", encoder, ["merchant"])], remainder="passthrough")
    trees = HistGradientBoostingClassifier(max_iter=TREES, random_state=0)
    return Pipeline([("columns", columns), ("trees", trees)]).fit(rows[list(FEATURES)], rows["fraud"])
