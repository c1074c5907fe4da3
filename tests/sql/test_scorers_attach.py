"""attach_scorer() checks everything at once and makes what is lacking; detach_scorer() takes it away again."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.batch import columns
from support.flowers import Garden
from support.scorers import LINEAR, attach, scorer, wrong_scores

from modeldb.errors import (
    InvalidArgument,
    InvalidScorer,
    ScorerConflict,
    UnknownAlias,
    UnknownModel,
    UnknownScorer,
    UnknownVersion,
    VersionInUse,
    VersionRetired,
)


def test_the_columns_that_are_absent_are_added(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    before = columns(work, "t")
    found = attach(work, "t", into="s", label="l", model_version="v", scored_at="at", on_error="null")
    added = [("s", "double precision"), ("l", "text"), ("v", "integer"), ("at", "timestamp with time zone")]
    assert columns(work, "t") == [*before, *added, ("s_error", "text")]
    assert (found["into"], found["error"], found["mode"], found["model"]) == ("s", "s_error", "sync", "m")
    work.execute("INSERT INTO t VALUES (1, 1, 1)")
    assert answers(work, "SELECT ARRAY[s::text, l, v::text, s_error] FROM t") == [["3", "3", "1", None]]
    age = answer(work, "SELECT clock_timestamp() - at FROM t")
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_columns_that_are_there_are_used(work: psycopg.Connection) -> None:
    work.execute(f"{LINEAR}; ALTER TABLE t ADD s float8, ADD l varchar(9), ADD v bigint, ADD at timestamptz".encode())
    before = columns(work, "t")
    attach(work, "t", into="s", label="l", model_version="v", scored_at="at")
    assert columns(work, "t") == before
    work.execute("INSERT INTO t VALUES (1, 1, 1, NULL, 99, 'x')")
    assert answers(work, "SELECT ARRAY[s::text, l, v::text] FROM t") == [["3", "3", "1"]]


def test_names_are_mapped_and_found_in_any_case(work: psycopg.Connection) -> None:
    work.execute('CREATE TABLE t (id int, amt_eur float8, "B" int, unused text)')
    found = attach(work, "t", columns={"a": "amt_eur"})
    assert [(c["feature"], c["column"]) for c in found["columns"]] == [("a", "amt_eur"), ("b", "B")]
    assert found["reads"] == ["amt_eur", "B"]
    work.execute("INSERT INTO t VALUES (1, 10, 1)")
    assert answers(work, "SELECT score FROM t") == [21]


def test_everything_that_does_not_fit_is_told_at_once(garden: Garden, work: psycopg.Connection) -> None:
    work.execute("""
        CREATE TABLE t (id int, sepal_length text, petal_widht float8, score text, at date,
            petal_length float8 GENERATED ALWAYS AS (1) STORED)""")
    with pytest.raises(psycopg.Error) as caught:
        attach(
            work, "t", "species", columns={"sepal_width": "nowhere", "nothing": "id"}, scored_at="at", key=["idd"],
            class_="rose", where="score = 'x'", on_error="null", label="score_error", enrich="SELECT 1 AS id",
        )  # fmt: skip
    diag = caught.value.diag
    assert diag.sqlstate == InvalidScorer.sqlstate
    message = str(diag.message_primary)
    for part in (
        "model 'species' cannot score work.t into 'score'",
        "columns names 'nothing', which is no feature",
        "columns names 'nowhere' for feature 'sepal_width'",
        "feature 'sepal_length' is float8, the column 'sepal_length' text",
        "feature 'petal_width' has no column (near: petal_widht",
        "enrich has a column 'id', and so has the table",
        "the model has no class 'rose'; its classes are setosa, versicolor, virginica",
        "the column 'score' is text, to be written it has to be double precision",
        "the column 'at' is date",
        "the column 'score_error' is to be written twice",
        "where reads 'score', which the scorer writes",
        "'petal_length' is generated",
        "key names 'idd'",
    ):
        assert part in message
    assert "sepal_length, petal_widht" in str(diag.message_detail)
    assert "describe('species')" in str(diag.message_hint)
    assert [name for name, _ in columns(work, "t")][-1] == "petal_length"


MISFITS = [
    ("CREATE TABLE t (a float8, b float8)", "'species'", "has no column"),
    ("CREATE TABLE t AS SELECT * FROM flowers", "'species'", "name one as class"),
    ("CREATE TABLE t AS SELECT * FROM flowers", "'width', class => 'x'", "no probabilities"),
    ("CREATE TABLE t (a float8, b float8)", "'m', \"into\" => 'a'", "read and to be written"),
    ("CREATE TABLE t (a float8, b float8, score int)", "'m'", "integer, to be written"),
    ("CREATE TABLE t (a float8, b float8, score float8 GENERATED ALWAYS AS (1) STORED)", "'m'", "is generated"),
    ("CREATE TABLE t (a float8, b jsonb)", "'m'", "'b' is float8, the column 'b' jsonb"),
    ('CREATE TABLE t (a float8, "B" float8, "b " float8, "Bb" int)', "'m', columns => '{\"b\": \"bb\"}'", "no such"),
    ("CREATE TABLE t (a float8, b float8)", "'m', mode => 'async'", "no primary key"),
]


@pytest.mark.parametrize(("table", "arguments", "words"), MISFITS)
def test_what_does_not_fit(garden: Garden, work: psycopg.Connection, table: str, arguments: str, words: str) -> None:
    work.execute(table.encode())
    refusal(work, f"SELECT attach_scorer('t', {arguments})", InvalidScorer, words)


EXPRESSIONS = [
    ("\"where\" => 'nothing > 1'", 'column "nothing" does not exist'),
    ("\"where\" => 'a +'", "where cannot be understood: syntax error"),
    ("\"where\" => 'a'", "argument of WHERE must be type boolean"),
    ("\"where\" => 'count(*) > 1'", "aggregate"),
    ("\"where\" => 'true); DROP TABLE t; --'", "syntax error"),
    ("reject_if => 'score'", "must be type boolean"),
    ("reject_if => 'score > 1', \"into\" => 'fraud'", '"score" is ambiguous'),
    ("enrich => 'amount'", "not a query"),
    ("enrich => 'SELECT 1 AS x, 2 AS x'", "more than once"),
    ("enrich => 'SELECT nothing FROM t'", "enrich cannot be understood"),
    ("enrich => 'SELECT new.nothing AS x'", "new.nothing"),
    ("enrich => 'DELETE FROM t'", "not a query"),
    ("enrich => 'SELECT * FROM passing'", "enrich cannot be understood"),
]


@pytest.mark.parametrize(("argument", "words"), EXPRESSIONS)
def test_expressions_that_cannot_be_understood(work: psycopg.Connection, argument: str, words: str) -> None:
    work.execute("CREATE TABLE t (a float8, b float8, score float8); CREATE TEMP TABLE IF NOT EXISTS passing (y int)")
    refusal(work, f"SELECT attach_scorer('t', 'm', {argument})", InvalidScorer, words)
    assert answers(work, "SELECT relname FROM pg_class WHERE relnamespace = 'modeldb_scorers'::regnamespace") == []
    assert answer(work, "SELECT count(*) FROM t") == 0


ARGUMENTS = [
    "'t', NULL", "NULL, 'm'", "'t', 'm', \"into\" => NULL", "'t', 'm', mode => 'often'", "'t', 'm', mode => NULL",
    "'t', 'm', \"into\" => ''", f"'t', 'm', label => '{'ö' * 32}'", f"'t', 'm', '{'x' * 60}', on_error => 'null'",
    "'t', 'm', on_error => 'ignore'", "'t', 'm', columns => NULL", "'t', 'm', columns => '[1]'",
    "'t', 'm', columns => '{\"a\": 1}'", "'t', 'm', mode => 'async', reject_if => 'score > 1'",
]  # fmt: skip


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_arguments_that_there_are_not(work: psycopg.Connection, arguments: str) -> None:
    work.execute(LINEAR.encode())
    refusal(work, f"SELECT attach_scorer({arguments})", InvalidArgument)


RELATIONS = [
    ("'nothing'", "there is no table"),
    ("'a b c'", "not the name of a table"),
    ("'v'", "is a view"),
    ("'passing'", "temporary"),
    ("'modeldb.model'", "not a table of yours"),
    ("'pg_class'", "not a table of yours"),
]


@pytest.mark.parametrize(("table", "words"), RELATIONS)
def test_relations_that_cannot_be_scored(work: psycopg.Connection, table: str, words: str) -> None:
    work.execute(
        f"{LINEAR}; CREATE VIEW v AS SELECT * FROM t; CREATE TEMP TABLE IF NOT EXISTS passing (y int)".encode()
    )
    refusal(work, f"SELECT attach_scorer({table}, 'm')", InvalidScorer, words)


def test_the_model_has_to_be_there(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    refusal(work, "SELECT attach_scorer('t', 'nothing')", UnknownModel)
    refusal(work, "SELECT attach_scorer('t', 'm@nothing')", UnknownAlias)
    refusal(work, "SELECT attach_scorer('t', 'm/99')", UnknownVersion)
    work.execute("SELECT retire('m', 2)")
    refusal(work, "SELECT attach_scorer('t', 'm/2')", VersionRetired)
    work.execute("SELECT promote('m', 2), promote('m', 1)")


def test_a_column_has_one_scorer(scored: psycopg.Connection) -> None:
    hint = refusal(scored, "SELECT attach_scorer('t', 'm')", ScorerConflict, "'score'")
    assert "detach_scorer('work.t', 'score')" in hint
    attach(scored, "t", "m/2", into="other", label="label")
    refusal(scored, "SELECT attach_scorer('t', 'm', \"into\" => 'third', label => 'label')", ScorerConflict, "'label'")
    scored.execute("INSERT INTO t VALUES (1, 1, 1)")
    assert answers(scored, "SELECT ARRAY[score, other] FROM t") == [[3, 4]]


def test_a_scorer_can_read_what_another_one_wrote(scored: psycopg.Connection) -> None:
    attach(scored, "t", into="second", columns={"a": "score"})
    scored.execute("INSERT INTO t VALUES (1, 1, 1)")
    assert answers(scored, "SELECT ARRAY[score, second] FROM t") == [[3, 7]]


def test_attaching_is_undone_by_a_rollback(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    work.execute("BEGIN")
    attach(work, "t")
    work.execute("INSERT INTO t VALUES (1, 1, 1)")
    assert wrong_scores(work) == 0
    work.execute("ROLLBACK; INSERT INTO t VALUES (1, 1, 1)")
    assert [name for name, _ in columns(work, "t")] == ["id", "a", "b", "note"]
    assert answer(work, "SELECT count(*) FROM scorers") == 0


# --- detach_scorer() ------------------------------------------------------------------------------------------------


def test_detaching_leaves_the_columns_and_nothing_else(scored: psycopg.Connection) -> None:
    attach(scored, "t", "m/2", into="other", enrich="SELECT 1 AS one")
    scored.execute("INSERT INTO t VALUES (1, 1, 1); SELECT detach_scorer('t', 'other'); INSERT INTO t VALUES (2, 1, 1)")
    assert answers(scored, "SELECT ARRAY[score, other] FROM t ORDER BY id") == [[3, 4], [3, None]]
    scored.execute("SELECT detach_scorer('t'); INSERT INTO t VALUES (3, NULL, 1)")
    assert answers(scored, "SELECT score FROM t ORDER BY id") == [3, 3, None]
    assert answer(scored, "SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass") == 0
    functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'modeldb_scorers'::regnamespace"
    before = answer(scored, functions)
    attach(scored, "t")
    scored.execute("SELECT detach_scorer('t')")
    assert answer(scored, functions) == before
    assert answer(scored, "SELECT count(*) FROM scorers") == 0


def test_detaching_names_what_there_is(scored: psycopg.Connection) -> None:
    attach(scored, "t", into="other")
    hint = refusal(scored, "SELECT detach_scorer('t')", UnknownScorer, "has 2 scorers")
    assert "'other', 'score'" in hint
    refusal(scored, "SELECT detach_scorer('t', 'third')", UnknownScorer, "'third'")
    scored.execute("CREATE TABLE u (x int)")
    refusal(scored, "SELECT detach_scorer('u')", UnknownScorer, "has no scorer")
    refusal(scored, "SELECT detach_scorer('nothing')", InvalidScorer, "no table")


# --- what a scorer names stays --------------------------------------------------------------------------------------


def test_what_a_scorer_names_cannot_be_taken_away(work: psycopg.Connection) -> None:
    work.execute(f"{LINEAR}; SELECT promote('m', 2, 'canary')".encode())
    attach(work, "t", "m/2", into="pinned")
    attach(work, "t", "m@canary", into="canary")
    refusal(work, "SELECT drop_alias('m', 'canary')", VersionInUse, "alias canary", "work.t.canary")
    work.execute("SELECT detach_scorer('t', 'canary'), drop_alias('m', 'canary')")
    for call in ("retire('m', 2)", "delete_model('m', 2)", "delete_model('m', cascade => true)"):
        refusal(work, f"SELECT {call}", VersionInUse, "work.t.pinned")
    work.execute("DROP TABLE t; SELECT retire('m', 2); SELECT promote('m', 2), promote('m', 1)")


# --- the view scorers -----------------------------------------------------------------------------------------------


def test_the_view_shows_how_a_scorer_is_doing(scored: psycopg.Connection) -> None:
    fresh = scorer(scored)
    assert (fresh["rows"], fresh["errors"], fresh["p50_ms"], fresh["p99_ms"]) == (0, 0, None, None)
    assert (fresh["table"], fresh["into"], fresh["model"], fresh["version"], fresh["mode"]) == (
        "t",
        "score",
        "m",
        1,
        "sync",
    )
    assert (fresh["queued"], fresh["oldest_waiting"], fresh["failures"], fresh["broken"]) == (None, None, 0, False)
    scored.execute("INSERT INTO t SELECT i, 1, 1 FROM generate_series(1, 500) AS i; SELECT promote('m', 2)")
    found = scorer(scored)
    assert (found["rows"], found["version"]) == (500, 2)
    assert 0 < found["p50_ms"] <= found["p99_ms"] < 10_000


def test_a_busy_session_writes_its_statistics_now_and_then(scored: psycopg.Connection) -> None:
    for i in range(200):
        scored.execute(b"INSERT INTO t VALUES (%s, 1, 1)", [i])
    written = answer(
        scored, "SELECT count(*) FROM modeldb.scorer_activity WHERE scorer = (SELECT id FROM modeldb.scorer)"
    )
    assert 10 <= written < 40
    assert 10 <= scorer(scored)["rows"] <= 200


def test_old_activity_is_added_up_by_the_hour(scored: psycopg.Connection) -> None:
    id_ = answer(scored, "SELECT id FROM modeldb.scorer")
    scored.execute(
        f"""
        INSERT INTO modeldb.scorer_activity (scorer, at, rows, errors, latencies)
        SELECT {id_}, date_trunc('hour', now()) - interval '5 hours' + i * interval '7 minutes', 3, 1, ARRAY[i % 2, 2]
        FROM generate_series(1, 12) AS i
        UNION ALL VALUES ({id_}, now(), 5, 0, ARRAY[0, 0, 0, 5])""".encode()
    )
    for _ in range(2):
        scored.execute(f"SELECT modeldb._compact_activity({id_})".encode())
        rows = "SELECT ARRAY[rows, errors] || latencies FROM modeldb.scorer_activity ORDER BY at"
        assert answers(scored, rows) == [[24, 8, 4, 16], [12, 4, 2, 8], [5, 0, 0, 0, 0, 5]]
    found = scorer(scored)
    assert (found["rows"], found["errors"], found["p50_ms"]) == (41, 12, 0.002)
