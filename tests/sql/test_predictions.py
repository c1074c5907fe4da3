"""Predictions of whole tables: what they hold, which version they follow, and what a refresh leaves alone."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers
from support.batch import KINDS, TABLE, columns, differences, refreshed, run, stored_rows, wrong_rows

REST = [("model", "text"), ("model_version", "integer"), ("scored_at", "timestamp with time zone")]
SHAPES = {
    "prediction": ("prediction", "double precision"),
    "label": ("label", "text"),
    "probability": ("probability", "double precision"),
}
TASKS = [
    ("width", "flowers", ["prediction"]),
    ("species", "flowers", ["label", "probability"]),
    ("mixed", "mixed", ["prediction", "label", "probability"]),
    ("gaps", "gaps", ["prediction", "label", "probability"]),
]


@KINDS
@pytest.mark.parametrize(("model", "table", "outputs"), TASKS)
def test_the_view_has_what_the_task_gives(
    batch_models: None, clean: psycopg.Connection, model: str, table: str, outputs: list[str], incremental: bool
) -> None:
    found = run(clean, f"create_predictions('p', '{model}', '{table}', 'row_id', incremental => {incremental})")
    rows = answer(clean, f"SELECT count(*) FROM {table}")
    assert (found["predictions"], found["model"], found["version"]) == ("public.p", model, 1)
    assert (found["rows"], found["scored"], found["error"], found["runner"]) == (rows, rows, None, "session")
    assert columns(clean, "p") == [("row_id", "bigint"), *(SHAPES[name] for name in outputs), *REST]
    assert wrong_rows(clean, "p", table, model, "row_id") == []
    assert clean.execute("SELECT DISTINCT model, model_version FROM p").fetchall() == [(model, 1)]
    again = run(clean, "refresh_predictions('p')")
    assert (again["rows"], again["scored"]) == (rows, 0 if incremental else rows)
    assert wrong_rows(clean, "p", table, model, "row_id") == []


@pytest.mark.parametrize("rows", [0, 1, 100, 501])
@KINDS
def test_sources_of_any_length(clean: psycopg.Connection, rows: int, incremental: bool) -> None:
    clean.execute(f"CREATE TABLE t AS SELECT i AS id, i AS a, -i AS b FROM generate_series(1, {rows}) AS i".encode())
    found = run(clean, f"create_predictions('p', 'm', 't', 'id', incremental => {incremental})")
    assert (found["rows"], found["scored"]) == (rows, rows)
    assert answers(clean, "SELECT id FROM p WHERE prediction = id") == list(range(1, rows + 1))
    clean.execute("INSERT INTO t VALUES (0, 0, 0)")
    assert refreshed(clean)[0] == rows + 1
    clean.execute("TRUNCATE t")
    assert refreshed(clean)[0] == 0
    assert answer(clean, "SELECT count(*) FROM p") == 0


@KINDS
def test_a_refresh_follows_the_alias(clean: psycopg.Connection, incremental: bool) -> None:
    clean.execute(TABLE.encode())
    for name, model in (("p", "m"), ("q", "m@champion"), ("r", "m/1")):
        run(clean, f"create_predictions('{name}', '{model}', 't', 'id', incremental => {incremental})")
    clean.execute("SELECT promote('m', 2)")
    behind = "SELECT behind FROM modeldb.predictions ORDER BY name"
    assert answers(clean, behind) == [True, True, False]
    for name, version in (("p", 2), ("q", 2), ("r", 1)):
        refreshed(clean, name)
        assert clean.execute(f"SELECT DISTINCT model, model_version FROM {name}".encode()).fetchall() == [
            ("m", version)
        ]
        assert wrong_rows(clean, name, "t", f"m/{version}", "id") == []
    assert answers(clean, behind) == [False] * 3
    assert answers(clean, "SELECT version FROM modeldb.batch_runs ORDER BY id") == [1, 1, 1, 2, 2, 1]


def test_a_promotion_in_the_same_transaction(made: psycopg.Connection) -> None:
    with made.transaction(force_rollback=True):
        made.execute("SELECT promote('m', 2)")
        assert run(made, "refresh_predictions('p')")["version"] == 2
        assert wrong_rows(made, "p", "t", "m/2", "id") == []
    made.execute("DO $$ BEGIN PERFORM promote('m', 2); PERFORM refresh_predictions('p'); END $$")
    assert wrong_rows(made, "p", "t", "m/2", "id") == []
    assert answers(made, "SELECT DISTINCT model_version FROM p") == [2]


def test_the_probability_of_a_class(batch_models: None, clean: psycopg.Connection) -> None:
    run(clean, "create_predictions('p', 'species', 'flowers', 'row_id', class => 'virginica')")
    one = "SELECT row_id, predict_proba('species', f, 'virginica') AS probability FROM flowers f"
    assert differences(clean, one, "SELECT row_id, probability FROM p", "row_id", "probability") == []


@KINDS
def test_errors_in_a_column(clean: psycopg.Connection, incremental: bool) -> None:
    clean.execute(TABLE.encode())
    clean.execute("UPDATE t SET a = 'NaN' WHERE id = 7; UPDATE t SET b = NULL WHERE id = 8")
    found = run(clean, f"create_predictions('p', 'm', 't', 'id', on_error => 'null', incremental => {incremental})")
    assert (found["rows"], found["error"]) == (100, None)
    assert [name for name, _ in columns(clean, "p")][:3] == ["id", "prediction", "error"]
    bad = "SELECT id, prediction, error FROM p WHERE error IS NOT NULL OR prediction IS NULL ORDER BY id"
    assert clean.execute(bad.encode()).fetchall() == [
        (7, None, "feature 'a' is NaN, and was never missing in the sample"),
        (8, None, "feature 'b' is NULL, and was never missing in the sample"),
    ]
    clean.execute("UPDATE t SET a = 0, b = 0")
    refreshed(clean)
    assert clean.execute(bad.encode()).fetchall() == []
    assert wrong_rows(clean, "p", "t", "m", "id") == []


# --- what a refresh leaves alone -----------------------------------------------------------------------------------


def test_an_unchanged_prediction_is_an_unchanged_row(made: psycopg.Connection) -> None:
    made.execute("INSERT INTO t SELECT i, i, i FROM generate_series(101, 10000) AS i")
    refreshed(made)
    before, at = stored_rows(made, "p_stored"), answer(made, "SELECT max(scored_at) FROM p")
    made.execute(
        "UPDATE t SET a = a + 1 WHERE id % 100 = 0; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (0, 0, 0)"
    )
    assert refreshed(made) == (10000, 10000)
    after = stored_rows(made, "p_stored")
    assert {int(key) for key in after if before.get(key) != after[key]} == {0, *range(100, 10001, 100)}
    assert answer(made, "SELECT min(scored_at) FROM p") > at
    assert wrong_rows(made, "p", "t", "m", "id") == []
    refreshed(made)
    assert stored_rows(made, "p_stored") == after


def test_the_run_is_what_scored_at_and_the_record_say(made: psycopg.Connection) -> None:
    found = run(made, "refresh_predictions('p')")
    assert answers(made, "SELECT DISTINCT scored_at FROM p") == answers(
        made, "SELECT scored_at FROM modeldb.predictions"
    )
    assert found["started_at"] <= answer(made, "SELECT max(scored_at) FROM p") <= found["finished_at"]
    assert found["rows_per_second"] > 0
    assert (found["run_by"], found["runner"], found["rows"]) == ("postgres", "session", 100)
    [row] = made.execute("SELECT * FROM modeldb.batch_runs ORDER BY id DESC LIMIT 1").fetchall()
    assert row == tuple(found.values())


def test_old_runs_are_forgotten(made: psycopg.Connection) -> None:
    made.execute("UPDATE modeldb.settings SET keep_runs = 3; SELECT create_predictions('q', 'm', 't', 'id')")
    try:
        ids = [run(made, "refresh_predictions('p')")["id"] for _ in range(5)]
        assert answers(made, "SELECT id FROM modeldb.batch_runs WHERE predictions = 'public.p' ORDER BY id") == ids[-3:]
        assert answer(made, "SELECT count(*) FROM modeldb.batch_runs WHERE predictions = 'public.q'") == 1
    finally:
        made.execute("UPDATE modeldb.settings SET keep_runs = 1000")


def test_a_schema_change_that_does_not_concern_the_model(made: psycopg.Connection) -> None:
    made.execute("ALTER TABLE t ADD more text DEFAULT 'x', ALTER note TYPE varchar(20), ADD CHECK (id > 0)")
    made.execute("ALTER TABLE t DROP note")
    assert refreshed(made) == (100, 100)
    made.execute("ALTER TABLE t ALTER a TYPE real, ALTER b TYPE numeric(10, 2)")
    assert refreshed(made) == (100, 100)
    assert wrong_rows(made, "p", "t", "m", "id") == []
