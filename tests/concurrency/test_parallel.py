"""Parallel plans: on PostgreSQL 16 and older, PL/Python in one of them would bring the server down."""

from __future__ import annotations

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
