"""Schedules of predictions, by their SQL functions: what is accepted, what is due, and that nothing is run twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from support.answers import answer, refusal
from support.fixtures import Session
from support.registering import Register
from support.server import plain
from support.workers import RUNS, TABLES, is_current, schedule_missed

from modeldb.errors import InvalidSchedule, MissingPrivilege, UnknownPredictions

SCHEDULED = "SELECT count(*) FROM modeldb.prediction_schedule"
RUN = "SELECT count(*) FROM modeldb._run_scheduled('public.scores', 'worker')"
ATTEMPT = "SELECT modeldb._attempt('public.scores')"


@pytest.fixture(scope="module")
def shared(module_url: str) -> Iterator[psycopg.Connection]:
    """A session in a database that tests share."""
    with psycopg.connect(plain(module_url), autocommit=True) as connection:
        yield connection


@pytest.fixture
def scores(sql: psycopg.Connection, register: Register) -> psycopg.Connection:
    """A session in a database with predictions scores of the table points, without a schedule."""
    sql.execute(TABLES)
    register(2.0)
    sql.execute("SELECT create_predictions('scores', 'm', 'points', 'id')")
    return sql


def test_a_schedule_is_kept_and_says_who_runs_it(scores: psycopg.Connection) -> None:
    said: list[str] = []
    scores.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    assert answer(scores, "SELECT schedule_predictions('scores', ' */15  * * * * ')") == "worker"
    assert len(said) == 1
    assert "`modeldb worker`" in said[0]
    assert answer(scores, "SELECT schedule FROM predictions") == "*/15 * * * *"
    assert answer(scores, "SELECT schedule_predictions('public.scores', '0 3 * * 1-5')") == "worker"
    assert answer(scores, "SELECT cron FROM modeldb.prediction_schedule") == "0 3 * * 1-5"


@pytest.mark.parametrize("undo", ["unschedule_predictions('scores')", "drop_predictions('scores')"])
def test_a_schedule_ends(scores: psycopg.Connection, undo: str) -> None:
    scores.execute("SELECT schedule_predictions('scores', '* * * * *')")
    scores.execute(f"SELECT {undo}".encode())
    assert answer(scores, SCHEDULED) == 0


def test_unscheduling_what_has_no_schedule_does_nothing(scores: psycopg.Connection) -> None:
    assert answer(scores, "SELECT unschedule_predictions('scores')") == ""


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        (None, ["NULL"]),
        ("", ["0 fields"]),
        ("* * * *", ["4 fields"]),
        ("0 * * * * *", ["6 fields"]),
        ("@daily", ["1 field "]),
        ("60 * * * *", ["minute"]),
        ("* 24 * * *", ["hour"]),
        ("* * 0 * *", ["day-of-month"]),
        ("* * * 13 *", ["month"]),
        ("* * * * 8", ["day-of-week"]),
        ("*/0 * * * *", ["minute"]),
        ("5-1 * * * *", ["minute"]),
        ("0 0 30 2 *", ["day-of-month"]),
        ("5/15 * * * *", ["'5/15'"]),  # pg_cron takes it for 5
        ("0 0 L * *", ["'L'"]),
        ("0 0 * * 1#2", ["'1#2'"]),
        ("0 0 * * MONDAY", ["'MONDAY'"]),
        ("٣ * * * *", ["'٣'"]),
    ],
)
def test_what_is_no_schedule_is_refused(shared: psycopg.Connection, cron: str | None, words: list[str]) -> None:
    query = "SELECT modeldb._next_time(%s, now())"
    hint = refusal(shared, query, InvalidSchedule, "is no schedule", *words, values=(cron,))
    assert "'*/15 * * * *'" in hint


def test_what_is_no_schedule_changes_nothing(scores: psycopg.Connection) -> None:
    scores.execute("SELECT schedule_predictions('scores', '0 0 * * *')")
    refusal(scores, "SELECT schedule_predictions('scores', '0 0 * *')", InvalidSchedule, "4 fields")
    assert answer(scores, "SELECT schedule FROM predictions") == "0 0 * * *"


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("* * * * *", "2025-01-01 00:00:00+00", "2025-01-01 00:01:00+00"),
        ("* * * * *", "2025-01-01 00:00:59.999+00", "2025-01-01 00:01:00+00"),
        ("30 3 * * *", "2025-03-30 01:00:00+01", "2025-03-30 03:30:00+00"),  # UTC, whatever the clocks do elsewhere
        ("0 0 1 * MON", "2025-01-01 00:00:00+00", "2025-01-06 00:00:00+00"),  # either day, as cron has it
        ("0 0 */2 * MON", "2025-01-01 00:00:00+00", "2025-01-13 00:00:00+00"),  # with a star both
        ("0 0 29 feb *", "2025-01-01 00:00:00+00", "2028-02-29 00:00:00+00"),
        ("0 12 * * 7", "2025-01-01 00:00:00+00", "2025-01-05 12:00:00+00"),
    ],
)
def test_the_next_time(shared: psycopg.Connection, cron: str, after: str, expected: str) -> None:
    shared.execute("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'")
    assert answer(shared, "SELECT modeldb._next_time(%s, %s) = %s::timestamptz", cron, after, expected) is True


def test_unknown_predictions_are_named(scores: psycopg.Connection) -> None:
    refusal(scores, "SELECT schedule_predictions('score', '* * * * *')", UnknownPredictions, "'score'")
    refusal(scores, "SELECT unschedule_predictions('score')", UnknownPredictions, "'score'")


def test_only_the_owner_makes_and_ends_a_schedule(
    scores: psycopg.Connection, session: Session, make_role: Callable[..., str]
) -> None:
    scores.execute("SELECT schedule_predictions('scores', '* * * * *')")
    other = session(role=make_role("modeldb_user"))
    refusal(other, "SELECT schedule_predictions('scores', '0 0 * * *')", MissingPrivilege, "public.scores")
    refusal(other, "SELECT unschedule_predictions('scores')", MissingPrivilege, "public.scores")
    refusal(other, "SELECT modeldb._schedule('public.scores', '0 0 * * *')", MissingPrivilege)
    refusal(other, "SELECT modeldb._unschedule('public.scores')", MissingPrivilege)


def test_what_was_missed_is_run_once_for_all_times(scores: psycopg.Connection) -> None:
    scores.execute("SELECT schedule_predictions('scores', '* * * * *')")
    scores.execute(
        "UPDATE modeldb.prediction_schedule SET handled_until = date_trunc('minute', now()) + interval '1 minute'"
    )
    assert answer(scores, RUN) == 0
    schedule_missed(scores, "scores")
    scores.execute("UPDATE points SET a = -a")
    assert answer(scores, "SELECT predictions FROM modeldb._due()") == "public.scores"
    assert answer(scores, RUN) == 1
    assert is_current(scores, "scores")
    assert answer(scores, RUN) == 0
    assert answer(scores, "SELECT count(*) FROM modeldb._due()") == 0
    assert answer(scores, "SELECT last_runner FROM predictions") == "worker"


def test_a_run_does_not_overlap_itself(scores: psycopg.Connection, session: Session) -> None:
    schedule_missed(scores, "scores")
    other = session()
    with scores.transaction(force_rollback=True):
        assert answer(scores, RUN) == 1
        assert answer(other, RUN) == 0
        assert answer(other, ATTEMPT) == "busy"
    assert answer(other, RUN) == 1
    assert answer(other, ATTEMPT) == "handled"


def test_a_run_that_does_not_end_is_tried_twice_and_then_recorded(scores: psycopg.Connection) -> None:
    schedule_missed(scores, "scores")
    assert [answer(scores, ATTEMPT) for _ in range(4)] == ["run", "run", "lost", "handled"]
    query = "SELECT ARRAY[runner, sqlstate] FROM modeldb.batch_runs ORDER BY id DESC LIMIT 1"
    assert answer(scores, query) == ["worker", "MD507"]
    assert "begun twice" in answer(scores, "SELECT last_error FROM predictions")
    schedule_missed(scores, "scores")
    assert answer(scores, ATTEMPT) == "run"


def test_a_run_that_was_interrupted_on_purpose_does_not_count(scores: psycopg.Connection) -> None:
    schedule_missed(scores, "scores")
    for _ in range(3):
        assert answer(scores, ATTEMPT) == "run"
        scores.execute("SELECT modeldb._take_back_attempt('public.scores')")
    assert answer(scores, RUN) == 1


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("INSERT INTO points VALUES (1, 0, 0)", "the key (id) is not unique"),
        ("DROP MATERIALIZED VIEW scores_stored CASCADE", "public.scores_stored, where the predictions are stored, was"),
    ],
)
def test_a_run_that_fails_is_recorded_and_waits_for_its_next_time(
    scores: psycopg.Connection, spoil: str, words: str
) -> None:
    schedule_missed(scores, "scores")
    scores.execute(spoil.encode())
    assert answer(scores, RUN) == 1
    assert words in answer(scores, "SELECT last_error FROM predictions")
    assert answer(scores, RUN) == 0
    assert answer(scores, RUNS) == 1


def test_names_of_jobs_fit_and_differ(shared: psycopg.Connection) -> None:
    long = ["public." + "é" * 28 + end for end in ("a", "b")]
    names = [answer(shared, "SELECT modeldb._cron_job(%s)", name) for name in ("public.scores", *long)]
    assert names[0] == "modeldb public.scores"
    assert len(set(names)) == 3
    assert all(len(name.encode()) < 64 for name in names)
