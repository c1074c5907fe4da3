"""Parallel plans: on PostgreSQL 16 and older, PL/Python in one of them would bring the server down."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from support.fixtures import Session
from support.models import Trained

import modeldb

PARALLEL = [
    "SET max_parallel_workers_per_gather = 2",
    "SET parallel_setup_cost = 0",
    "SET parallel_tuple_cost = 0",
    "SET min_parallel_table_scan_size = 0",
]


def test_cold_predictions_over_a_table_that_invites_a_parallel_plan(
    db: modeldb.Database, session: Session, diabetes: Trained
) -> None:
    db.register("d", diabetes.estimator, sample=diabetes.X)
    names = [str(name) for name in diabetes.X.columns]
    owner = session()
    columns = ", ".join(f'random() * 100 AS "{name}"' for name in names)
    owner.execute(f"CREATE TABLE big AS SELECT i, {columns} FROM generate_series(1, 50000) i".encode())
    owner.execute("ANALYZE big")
    for query in (
        "SELECT count(predict('d', b)) FROM big b WHERE b.i % 10 = 0",
        "SELECT count(*) FROM big b WHERE predict('d', b) > 150 AND i < 2000",
        "SELECT sum(x) FROM (SELECT predict('d', b) AS x FROM big b WHERE i < 2000 OFFSET 0) s",
    ):
        connection = session()
        for setting in PARALLEL:
            connection.execute(setting.encode())
        for _ in range(3):
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            assert row[0] > 0


def test_other_queries_of_the_session_stay_parallel(db: modeldb.Database, session: Session) -> None:
    connection = session()
    for setting in PARALLEL:
        connection.execute(setting.encode())
    connection.execute("CREATE TABLE big AS SELECT generate_series(1, 50000) AS i")
    connection.execute("ANALYZE big")
    plan = "\n".join(row[0] for row in connection.execute("EXPLAIN SELECT count(*) FROM big"))
    assert "Parallel Seq Scan" in plan


WRAPPERS = ["PARALLEL SAFE", "PARALLEL RESTRICTED"]


@pytest.mark.parametrize("label", WRAPPERS)
@pytest.mark.parametrize("warm", [False, True])
def test_false_label_is_an_error_and_no_crash(
    db: modeldb.Database, session: Session, make_role: Callable[..., str], diabetes: Trained, label: str, warm: bool
) -> None:
    """Whoever may predict may wrap predict() in a function, in pg_temp at least, and label it as he likes."""
    db.register("d", diabetes.estimator, sample=diabetes.X)
    row = "ARRAY[50, 1, 25, 90, 180, 100, 50, 4, 4.5, 90 + i]"
    owner, user = session(), session(role=make_role("modeldb_user"))
    owner.execute("CREATE TABLE big AS SELECT generate_series(1, 50000) AS i")
    owner.execute("GRANT SELECT ON big TO PUBLIC")
    owner.execute("ANALYZE big")
    for setting in PARALLEL:
        user.execute(setting.encode())
    user.execute(
        f"""CREATE FUNCTION pg_temp.g(i int) RETURNS float8 LANGUAGE plpgsql {label} AS
            $$ BEGIN RETURN predict('d', {row}); END $$""".encode()
    )
    if warm:
        assert user.execute("SELECT pg_temp.g(1) > 0").fetchone() == (True,)
        owner.execute("CREATE TEMPORARY TABLE changes (the_catalogs int)")  # so that the route is asked for again
    for _ in range(2):
        with pytest.raises(psycopg.Error) as caught:
            user.execute("SELECT sum(pg_temp.g(i)) FROM big WHERE i % 100 = 0")
        assert caught.value.sqlstate == "MD404"
        assert "PARALLEL UNSAFE" in (caught.value.diag.message_hint or "")
    assert user.execute("SELECT pg_temp.g(1) > 0").fetchone() == (True,)
    assert owner.execute("SELECT count(*) FROM big").fetchone() == (50000,)
