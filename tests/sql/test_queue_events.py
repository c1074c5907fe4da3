"""The events of asynchronous scorers: positions, notifications, and who may follow them."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.batch import Connect
from support.online import drain
from support.scorers import LINEAR, attach

from modeldb.errors import EventsForgotten, MissingPrivilege, UnknownScorer

LONGEST = 7999


@pytest.fixture
def later(work: psycopg.Connection) -> psycopg.Connection:
    """An empty table t that is scored by m, asynchronously; nobody's events are left."""
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async", label="label")
    return work


@pytest.fixture
def listener(connect: Connect) -> psycopg.Connection:
    connection = connect()
    connection.execute("LISTEN modeldb_scored")
    return connection


def the(connection: psycopg.Connection) -> int:
    """The id of the scorer of t."""
    return int(answer(connection, "SELECT id FROM modeldb.scorer WHERE relation = 't'::regclass"))


def events(connection: psycopg.Connection, after: int, most: int = 1000) -> list[tuple[Any, ...]]:
    """Position, key and score of the events after a position."""
    query = "SELECT position, key, score FROM modeldb._scored(%s, %s, %s)"
    return connection.execute(query, [the(connection), after, most]).fetchall()


def payloads(connection: psycopg.Connection, rows: int) -> list[str]:
    """The payloads of notifications that tell of so many rows altogether."""
    found: list[str] = []
    for notification in connection.notifies(timeout=20):
        found.append(notification.payload)
        if sum(len(json.loads(payload)["scores"]) for payload in found) >= rows:
            break
    return found


def test_positions_count_what_was_scored(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, NULL, 3)")
    drain(later, the(later))
    later.execute("INSERT INTO t VALUES (4, 4, 4); UPDATE t SET a = 0 WHERE id = 1")
    drain(later, the(later))
    assert events(later, 0) == [(1, [1], 3), (2, [2], 6), (3, [4], 12), (4, [1], 1)]
    assert events(later, 1, 1) == [(2, [2], 6)], "a batch at a time"
    assert events(later, 3) == [(4, [1], 1)]
    assert events(later, 4) == []
    row = "SELECT version, label, scored_at > now() - interval '1 minute' FROM modeldb._scored(%s, 3, 10)"
    assert later.execute(row.encode(), [the(later)]).fetchall() == [(1, None, True)]


def test_a_notification_tells_table_keys_and_scores(later: psycopg.Connection, listener: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1), (2, 1.5e308, 2), (3, 3, 3)")
    drain(later, the(later))
    [payload] = payloads(listener, 3)
    assert json.loads(payload) == {
        "table": "work.t",
        "into": "score",
        "version": 1,
        "position": 3,
        "keys": [[1], [2], [3]],
        "scores": [3, None, 9],
    }
    assert [score for _, _, score in events(later, 0)] == [3, float("inf"), 9]


def test_notifications_stay_within_the_limit(work: psycopg.Connection, listener: psycopg.Connection) -> None:
    work.execute("CREATE TABLE t (k text PRIMARY KEY, a float8, b float8)")
    attach(work, "t", mode="async")
    # Of a short row and of ones that compress, for the index has a limit of its own; ü takes two bytes.
    work.execute("INSERT INTO t SELECT repeat('ü\"', i * 20) || i, i / 3.0, i FROM generate_series(1, 300) AS i")
    drain(work, the(work))
    found = payloads(listener, 300)
    assert max(len(payload.encode()) for payload in found) <= LONGEST
    told = [json.loads(payload) for payload in found]
    assert [part["position"] for part in told] == [
        sum(len(p["scores"]) for p in told[: at + 1]) for at in range(len(told))
    ]
    without = sum(part["keys"] is None for part in told)
    assert without > 50
    for part in told:
        if part["keys"] is not None:
            assert len(part["keys"]) == len(part["scores"])
    stored = {(position, key[0]): score for position, key, score in events(work, 0, 5000)}
    assert [score for part in told for score in part["scores"]] == list(stored.values())
    assert {key for _, key in stored} == set(answers(work, "SELECT k FROM t"))


def test_a_notification_of_a_table_with_row_level_security_tells_positions_only(
    later: psycopg.Connection, listener: psycopg.Connection
) -> None:
    later.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY; INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)")
    drain(later, the(later))
    [notification] = listener.notifies(timeout=20, stop_after=1)
    told = json.loads(notification.payload)
    assert (told["table"], told["position"], told["keys"], told["scores"]) == ("work.t", 2, None, None)


def test_a_drain_that_is_rolled_back_has_no_events(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1)")
    with later.transaction(force_rollback=True):
        drain(later, the(later))
        assert len(events(later, 0)) == 1
    assert events(later, 0) == []
    drain(later, the(later))
    assert events(later, 0) == [(1, [1], 3)]


def test_events_that_are_not_kept(later: psycopg.Connection) -> None:
    for number in range(1, 4):
        later.execute("INSERT INTO t VALUES (%s, 1, 1), (%s, 1, 1)", [number, -number])
        drain(later, the(later))
    later.execute("UPDATE modeldb.scored_batch SET scored_at = scored_at - interval '8 days' WHERE last = 4")
    later.execute("SELECT modeldb._forget_events()")
    assert [event[0] for event in events(later, 4)] == [5, 6]
    for after in (0, 3):
        refusal(later, "SELECT modeldb._scored(%s, %s, 10)", EventsForgotten, str(after), values=(the(later), after))
    refusal(later, "SELECT modeldb._scored(%s, 7, 10)", EventsForgotten, "7", values=(the(later),))
    later.execute("UPDATE modeldb.scored_batch SET scored_at = scored_at - interval '8 days'")
    later.execute("SELECT modeldb._forget_events()")
    assert events(later, 6) == []
    refusal(later, "SELECT modeldb._scored(%s, 5, 10)", EventsForgotten, "5", values=(the(later),))


def test_who_may_follow(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1)")
    drain(later, the(later))
    number = the(later)
    later.execute("DROP ROLE IF EXISTS test_reader2; CREATE ROLE test_reader2; GRANT modeldb_user TO test_reader2")
    query = "SELECT position FROM modeldb._scored(%s, 0, 10)"
    later.execute("GRANT USAGE ON SCHEMA work TO test_reader2; SET ROLE test_reader2")
    refusal(later, query, MissingPrivilege, "test_reader2", "t", values=(number,))
    later.execute("RESET ROLE; GRANT SELECT ON t TO test_reader2; SET ROLE test_reader2")
    assert answers(later, query, number) == [1]
    later.execute("RESET ROLE; ALTER TABLE t ENABLE ROW LEVEL SECURITY; SET ROLE test_reader2")
    refusal(later, query, MissingPrivilege, "row-level security", values=(number,))
    later.execute("RESET ROLE; DROP OWNED BY test_reader2; DROP ROLE test_reader2; SELECT detach_scorer('t')")
    refusal(later, query, UnknownScorer, "detached", values=(number,))
