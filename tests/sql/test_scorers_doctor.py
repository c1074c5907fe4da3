"""What `modeldb doctor` says of scorers."""

from __future__ import annotations

import psycopg
from support.scorers import LINEAR, attach

import modeldb
from modeldb.doctor import check_database
from modeldb.doctor.check import Check


def said(db: modeldb.Database) -> Check:
    with db.transaction() as connection:
        [check] = [check for check in check_database(connection) if check.name == "scorers"]
    return check


def test_scorers_that_are_whole(module_db: modeldb.Database, work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t")
    attach(work, "t", into="later", mode="async")
    assert (said(module_db).status, said(module_db).found) == ("ok", "2, 1 of them asynchronous")


def test_a_disabled_trigger(module_db: modeldb.Database, scored: psycopg.Connection) -> None:
    scored.execute("ALTER TABLE t DISABLE TRIGGER USER")
    check = said(module_db)
    assert check.status == "fail"
    assert "t (score)" in check.found
    assert "detach_scorer" in (check.advice or "")


def test_nobody_scores_what_waits(module_db: modeldb.Database, work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    scorer = attach(work, "t", mode="async")["id"]
    work.execute("INSERT INTO t VALUES (1, 1, 1)")
    assert said(module_db).status == "ok"
    work.execute(f"UPDATE modeldb_scorers.queue_{scorer} SET queue_time = now() - interval '2 minutes'".encode())
    check = said(module_db)
    assert (check.status, check.advice) == ("warn", "run modeldb worker")
    assert "t (score)" in check.found


def test_rows_that_were_given_up(module_db: modeldb.Database, work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    scorer = attach(work, "t", mode="async")["id"]
    work.execute("INSERT INTO modeldb.scorer_failures VALUES (%s, '[1]', 'no', 5, now())", [scorer])
    check = said(module_db)
    assert (check.status, check.found) == ("warn", "1 rows could not be scored")
    assert "retry_failures" in (check.advice or "")
