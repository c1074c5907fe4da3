"""The demo, told once to a database of its own; and its report against scikit-learn on the same rows."""

from __future__ import annotations

import contextlib
import io
import re

import numpy as np
import pandas as pd
import psycopg
import pytest
from support.workers import until

import modeldb
from modeldb.demo import flights, online, payments, story, stream
from modeldb.errors import InstallationError


@pytest.fixture(scope="module")
def transcript(module_db: modeldb.Database) -> str:
    """What the demo prints when it runs in a database that is new."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        story.run(module_db, private=False)
    return printed.getvalue()


@pytest.fixture
def told(module_db: modeldb.Database, transcript: str) -> modeldb.Database:
    """The database in which the demo has run."""
    return module_db


def test_all_flights_are_loaded_with_their_missing_values(told: modeldb.Database) -> None:
    (row,) = told.query(
        """SELECT count(*) AS flights, count(dep_delay) AS departed, count(arr_delay) AS arrived,
                  count(tailnum) AS tails FROM flights"""
    )
    assert row == {"flights": flights.ROWS, "departed": 328_521, "arrived": 327_346, "tails": 334_264}
    types = told.query("SELECT DISTINCT data_type FROM information_schema.columns WHERE table_name = 'flights'")
    assert {row["data_type"] for row in types} == {"integer", "text", "timestamp with time zone"}


def test_the_report_over_all_flights_agrees_with_scikit_learn(told: modeldb.Database, transcript: str) -> None:
    _, _, printed = transcript.partition(story.REPORT)
    report = re.findall(r"^ (\w{3}) *\| *(\d+) *\| *([\d.]+)$", printed.partition("rows)")[0], re.MULTILINE)
    pipeline, sample = flights.train(told)
    rows = flights.read_flights(told, "true")
    features = rows[list(sample.columns)]
    assert features.isna().any(axis=1).sum() == 8255
    rows["p"] = pipeline.predict_proba(features)[:, 1]
    expected = rows.groupby("origin")["p"].agg(["count", "mean"])
    assert sorted(origin for origin, _, _ in report) == ["EWR", "JFK", "LGA"]
    for origin, count, mean in report:
        assert int(count) == expected.loc[origin, "count"]
        assert float(mean) == pytest.approx(expected.loc[origin, "mean"], abs=1e-6)


def test_single_flights_agree_with_scikit_learn(told: modeldb.Database) -> None:
    pipeline, sample = flights.train(told, flights.MORE_NUMBERS, trees=60)
    some = "id % 50 = 0 OR dep_delay IS NULL"
    rows = flights.read_flights(told, some)
    found = told.query(f"SELECT predict_proba('late/2', f, '1') AS p FROM flights f WHERE {some} ORDER BY id")
    expected = pipeline.predict_proba(rows[list(sample.columns)])[:, 1]
    assert [row["p"] for row in found] == pytest.approx(expected, abs=1e-9)


def test_a_mistake_is_explained(transcript: str) -> None:
    assert "ERROR:  UnknownModel: there is no model 'lat'\nHINT:  Did you mean: late?" in transcript


def test_the_story_ends_with_the_first_version_as_champion(told: modeldb.Database) -> None:
    fraud, late = told.models()
    assert (late["name"], late["champion"], late["newest"]) == ("late", 1, 2)
    assert (fraud["name"], fraud["champion"], fraud["newest"]) == ("fraud", 1, 1)
    history = told.query("SELECT action FROM alias_history WHERE model = 'late' ORDER BY epoch")
    assert [row["action"] for row in history] == ["promote", "promote", "rollback"]


def test_every_payment_of_the_stream_is_scored_twice_as_scikit_learn_scores_it(told: modeldb.Database) -> None:
    pipeline = payments.train(payments.read(told))
    enriched = told.enriched("payments", payments.ENRICH)
    rows = pd.DataFrame(told.query(f"SELECT * FROM ({enriched}) AS p WHERE fraud IS NULL ORDER BY id"))
    assert len(rows) > online.PER_SECOND
    expected = pipeline.predict_proba(rows[list(payments.FEATURES)].astype({"usual": "float64"}))[:, 1]
    assert rows["score"].to_numpy() == pytest.approx(expected, abs=1e-9)
    assert rows["score"].max() <= 0.9
    streamed = rows[2:]  # the first two were inserted before the scorer in the background was attached
    assert streamed["later"].to_numpy() == pytest.approx(expected[2:], abs=1e-9)
    assert (streamed["later_at"] > streamed["paid_at"]).all()


def test_a_payment_beyond_doubt_is_rejected(told: modeldb.Database, transcript: str) -> None:
    _, _, printed = transcript.partition(online.REJECTED)
    assert re.match(
        r"\s*ERROR:  .* rejects a row of public\.payments: score > 0\.9\nDETAIL:  The score is 0\.9", printed
    )
    assert told.query("SELECT FROM payments WHERE customer = 7 AND amount = 250 AND fraud IS NULL") == []


def test_the_table_of_the_scorers_is_printed_once_where_there_is_no_terminal(transcript: str) -> None:
    assert transcript.count(" payments inserted, ") == 1
    above = transcript[: transcript.index(" payments inserted, ")].splitlines()
    rows = [line.split() for line in above if re.match(r" *(score +sync|later +async) ", line)]
    assert [row[0] for row in rows[-2:]] == ["score", "later"]
    for _, _, scored, per_second, errors, *_ in rows[-2:]:
        assert int(scored) > online.PER_SECOND
        assert int(per_second) > 0
        assert errors == "0"
    assert "\x1b" not in transcript


def test_the_worker_of_the_demo_is_gone(told: modeldb.Database) -> None:
    sessions = (
        "SELECT FROM pg_stat_activity WHERE application_name LIKE 'modeldb worker%' AND datname = current_database()"
    )
    until(lambda: not told.query(sessions), "the worker's sessions end")


def test_a_second_demo_keeps_the_flights_and_begins_with_version_1(
    told: modeldb.Database, capsys: pytest.CaptureFixture[str]
) -> None:
    story.prepare(told)
    assert "is loaded already" in capsys.readouterr().out
    assert told.models() == []
    assert told.query("SELECT FROM modeldb.scorers") == []
    assert not flights.load_flights(told)


def test_an_incomplete_table_is_loaded_again(told: modeldb.Database) -> None:
    with told.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM flights WHERE id > 1000")
    counts: list[int] = []
    assert flights.load_flights(told, counts.append)
    assert counts[-1] == flights.ROWS
    assert counts == sorted(counts)


def test_an_interrupted_load_leaves_nothing(db: modeldb.Database) -> None:
    def interrupt(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flights.load_flights(db, interrupt)
    assert db.query("SELECT to_regclass('flights') AS name")[0]["name"] is None


def test_a_table_of_somebody_else_is_not_touched(db: modeldb.Database) -> None:
    with db.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE flights (mine integer)")
    with pytest.raises(InstallationError, match="did not make") as raised:
        flights.load_flights(db)
    assert "another database" in str(raised.value.hint)


def test_payments_of_somebody_else_are_not_touched(db: modeldb.Database) -> None:
    with db.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE payments (mine integer)")
    with pytest.raises(InstallationError, match="did not make"):
        story.prepare(db)
    assert db.query("SELECT mine FROM payments") == []


def test_a_stream_says_what_went_wrong(db: modeldb.Database) -> None:
    payments_now = stream.Stream(stream.target(db), np.random.default_rng(0), per_second=100)
    with pytest.raises(psycopg.errors.UndefinedTable), payments_now.running():
        until(payments_now.ended, "the stream ends")
    assert payments_now.inserted == 0


def test_a_worker_that_ends_by_itself_is_reported(db: modeldb.Database) -> None:
    def kill_it() -> None:
        with stream.worker(stream.target(db)) as process:
            process.kill()
            process.wait()

    with pytest.raises(InstallationError, match="has ended by itself"):
        kill_it()


def test_a_worker_that_cannot_start_says_why(db: modeldb.Database) -> None:
    with db.transaction() as connection:
        connection.exec_driver_sql("DROP FUNCTION modeldb._due()")
    with pytest.raises(InstallationError, match="has ended by itself") as raised, stream.worker(stream.target(db)):
        pass
    assert "MD901" in str(raised.value.detail)
