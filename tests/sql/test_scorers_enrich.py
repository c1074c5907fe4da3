"""enrich: features that are not in the row, by one definition, the same while rows are written and in a batch."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from support.answers import answer, answers, refusal
from support.onnx_models import linear
from support.scorers import attach, scorer

from modeldb.errors import InvalidArgument, InvalidScorer

PAYMENTS = """
    CREATE TABLE accounts (customer int PRIMARY KEY, opened timestamptz NOT NULL, region text);
    CREATE TABLE payments (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int, at timestamptz, amount float8)"""
ENRICH = """
    SELECT coalesce(avg(p.amount), -1) AS mean, count(*) AS before, coalesce(max(p.amount) - new.amount, 0) AS above,
        (SELECT extract(epoch FROM new.at - a.opened) / 86400 FROM accounts a WHERE a.customer = new.customer) AS age
    FROM payments p
    WHERE p.customer = new.customer AND p.at < new.at AND p.at >= new.at - interval '1 hour'"""
FEATURES = ("amount", "mean", "before", "above", "age")


@pytest.fixture
def payments(work: psycopg.Connection) -> psycopg.Connection:
    """Tables of payments and accounts; a model p of five features, and one that gives its only feature back."""
    work.execute(PAYMENTS.encode())
    for model, names, weights in (("p", FEATURES, (1.0, 1e3, 1e6, 1e-3, 1e-6)), ("same", ("x",), (1.0,))):
        features = [{"name": name, "type": "float8", "nullable": True} for name in names]
        values = [model, linear(*weights), Jsonb({"features": features, "finite": False})]
        work.execute("SELECT register_model(%s, %s, %s::jsonb, promote => true)", values)
    return work


History = list[tuple[int, int, float, bool]]
payment = st.tuples(
    st.integers(0, 3),
    st.integers(0, 4000),
    st.one_of(st.floats(0, 1e6, allow_nan=False), st.sampled_from([0.0, 0.1, 9.99])),
    st.booleans(),
)


@given(history=st.lists(payment, min_size=1, max_size=25), accounts=st.lists(st.integers(0, 3), unique=True))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_as_they_come_have_the_features_of_the_batch(
    payments: psycopg.Connection, history: History, accounts: list[int]
) -> None:
    """Rows in the order of their times; some in one statement with those before them, some by COPY."""
    with payments.transaction(force_rollback=True):
        attach(payments, "payments", "p", enrich=ENRICH)
        for name in FEATURES[1:]:
            attach(payments, "payments", "same", into=f"saw_{name}", columns={"x": name}, enrich=ENRICH)
        for customer in accounts:
            payments.execute("INSERT INTO accounts VALUES (%s, '2025-12-01')", [customer])
        insert(payments, history)
        assert differing(payments) == []
        batch = answer(payments, "SELECT enriched('payments', %s)", ENRICH)
        other = " OR ".join(f"saw_{name} IS DISTINCT FROM coalesce({name}::float8, 'NaN')" for name in FEATURES[1:])
        assert answers(payments, f"SELECT to_jsonb(r) FROM ({batch}) AS r WHERE {other}") == []
        assert answer(payments, "SELECT count(score) FROM payments") == len(history)


def insert(connection: psycopg.Connection, history: History) -> None:
    """Each part of a history that begins with True is a statement of its own."""
    seconds, parts = 0, list[list[tuple[Any, ...]]]()
    for customer, pause, amount, begins in history:
        seconds += pause
        if begins or not parts:
            parts.append([])
        parts[-1].append((customer, seconds, amount))
    for at, part in enumerate(parts):
        if at % 2:
            with connection.cursor().copy("COPY payments (customer, at, amount) FROM STDIN") as copy:
                for customer, seconds, amount in part:
                    copy.write_row(
                        (customer, f"2026-01-01 {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}", amount)
                    )
        else:
            values = ", ".join(["(%s, timestamptz '2026-01-01' + make_interval(secs => %s), %s)"] * len(part))
            flat = [value for row in part for value in row]
            connection.execute(f"INSERT INTO payments (customer, at, amount) VALUES {values}".encode(), flat)


def differing(connection: psycopg.Connection) -> list[Any]:
    """Payments whose score is not what predict_batch() says of the enriched table."""
    return answers(
        connection,
        """SELECT p.id FROM predict_batch('p', enriched('payments', %s), 'id') AS b
        FULL JOIN payments p ON p.id::text = b.row_key WHERE p.score IS DISTINCT FROM b.prediction""",
        ENRICH,
    )


def test_the_features_of_a_single_prediction_are_the_same(payments: psycopg.Connection) -> None:
    attach(payments, "payments", "p", enrich=ENRICH)
    payments.execute("INSERT INTO accounts VALUES (1, '2026-01-01')")
    payments.execute("""INSERT INTO payments (customer, at, amount)
        SELECT i % 2, timestamptz '2026-01-02' + i * interval '7 minutes', i FROM generate_series(1, 60) AS i""")
    query = answer(payments, "SELECT enriched('payments', %s)", ENRICH)
    assert answers(payments, f"SELECT count(*) FROM ({query}) AS r WHERE score IS DISTINCT FROM predict('p', r)") == [0]
    assert answer(payments, "SELECT count(DISTINCT score) FROM payments") == 31  # of one without an account NaN


def test_predictions_are_created_of_the_same_definition(payments: psycopg.Connection) -> None:
    attach(payments, "payments", "p", enrich=ENRICH)
    payments.execute("INSERT INTO payments (customer, at, amount) SELECT 1, now(), i FROM generate_series(1, 9) AS i")
    payments.execute("SELECT create_predictions('work.batch', 'p', enriched('payments', %s), 'id')", [ENRICH])
    joined = "SELECT count(*) FROM payments JOIN batch USING (id) WHERE score = prediction"
    assert answer(payments, joined) == 9
    payments.execute("SELECT drop_predictions('work.batch')")


def test_a_query_without_a_row_gives_nulls(work: psycopg.Connection) -> None:
    work.execute("CREATE TABLE t (a float8); CREATE TABLE other (a float8, b float8)")
    attach(work, "t", enrich="SELECT o.b FROM other o WHERE o.a = new.a", on_error="null")
    work.execute("INSERT INTO other VALUES (1, 5); INSERT INTO t VALUES (1), (2)")
    assert answers(work, "SELECT score FROM t ORDER BY a") == [7, None]
    assert "feature 'b' is NULL" in answer(work, "SELECT score_error FROM t WHERE a = 2")


def test_a_query_of_several_rows_is_refused(work: psycopg.Connection) -> None:
    work.execute("CREATE TABLE t (a float8)")
    attach(work, "t", enrich="SELECT i AS b FROM generate_series(1, new.a::int) AS i")
    work.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(psycopg.errors.TooManyRows):
        work.execute("INSERT INTO t VALUES (2)")


def test_an_error_of_the_query_is_the_reason(work: psycopg.Connection) -> None:
    work.execute("CREATE TABLE t (a float8)")
    options = {"enrich": "SELECT 1 / new.a AS b", "label": "label", "model_version": "version"}
    attach(work, "t", **options, on_error="null")
    work.execute("INSERT INTO t VALUES (1), (0)")
    row = "SELECT ARRAY[score::text, label, version::text, score_error] FROM t ORDER BY a DESC"
    assert answers(work, row) == [["3", "3", "1", None], [None, None, None, "division by zero"]]
    assert scorer(work)["errors"] == 1
    work.execute("SELECT detach_scorer('t')")
    attach(work, "t", **options)
    with pytest.raises(psycopg.errors.DivisionByZero):
        work.execute("INSERT INTO t VALUES (0)")


def test_an_update_of_what_the_query_reads_scores_anew(work: psycopg.Connection) -> None:
    work.execute("CREATE TABLE t (a float8, c int, note text)")
    assert attach(work, "t", enrich="SELECT new.c * 2 AS b")["reads"] == ["a", "c"]
    work.execute("INSERT INTO t VALUES (1, 1); UPDATE t SET c = 5; UPDATE t SET note = 'x'")
    assert answers(work, "SELECT score FROM t") == [12]
    assert scorer(work)["rows"] == 2


def test_the_row_as_a_whole_can_be_read(work: psycopg.Connection) -> None:
    work.execute("CREATE TABLE t (a float8, b float8, d float8)")
    found = attach(work, "t", columns={"b": "first"}, enrich="SELECT predict('m', new) AS first")
    assert found["reads"] == ["a", "b", "d"]
    work.execute("INSERT INTO t VALUES (1, 2, 3)")
    assert answers(work, "SELECT score FROM t") == [2 * 1 + (2 * 1 + 2)]


def test_a_column_from_enrich_and_one_of_the_row_go_together_with_texts(
    batch_models: None, work: psycopg.Connection
) -> None:
    work.execute("CREATE TABLE t (city text, amount float8, birth int); CREATE TABLE colors (city text, color text)")
    work.execute("INSERT INTO colors VALUES ('Bonn', 'red')")
    query = "SELECT 2026 - new.birth AS age, (SELECT c.color FROM colors c WHERE c.city = new.city) AS color"
    attach(work, "t", "mixed", enrich=query)
    work.execute("INSERT INTO t VALUES ('Bonn', 10, 1990), ('Köln', NULL, 1950)")
    rows = answer(work, "SELECT enriched('t', %s)", query)
    assert answers(work, f"SELECT score = predict('mixed', r) FROM ({rows}) AS r") == [True, True]


def test_enriched_is_asked_for_a_table_and_a_query(work: psycopg.Connection) -> None:
    work.execute("CREATE TABLE t (a float8)")
    refusal(work, "SELECT enriched('nothing', 'SELECT 1')", InvalidScorer, "no table")
    refusal(work, "SELECT enriched('t', 'a + 1')", InvalidScorer, "not a query")
    refusal(work, "SELECT enriched('t', NULL)", InvalidArgument)
    assert answer(work, "SELECT enriched('t', 'SELECT 1 AS x; ')").startswith("SELECT new.*, e.* FROM work.t AS new")
