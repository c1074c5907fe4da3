"""What predictions are made of, and how they are named."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers
from support.batch import KINDS, TABLE, refreshed, run, wrong_rows

SOURCES = {
    "a view": "CREATE VIEW {} AS {}",
    "a materialized view": "CREATE MATERIALIZED VIEW {} AS {}",
    "a table": "CREATE TABLE {} AS {}",
    "a partitioned table": "CREATE TABLE {0} (id int, a float8, b float8) PARTITION BY LIST (id);"
    " CREATE TABLE part PARTITION OF {0} DEFAULT; INSERT INTO {0} {1}",
}
ROWS = "SELECT i AS id, i * 0.5 AS a, i AS b FROM generate_series(1, 9) AS i"


@KINDS
@pytest.mark.parametrize("statement", SOURCES.values(), ids=SOURCES)
def test_kinds_of_sources(clean: psycopg.Connection, statement: str, incremental: bool) -> None:
    source = '"My Schema"."A Source"'
    clean.execute('DROP SCHEMA IF EXISTS "My Schema" CASCADE; CREATE SCHEMA "My Schema"')
    clean.execute(statement.format(source, ROWS).encode())
    run(clean, f"create_predictions('\"My Schema\".\"P.q\"', 'm', '{source}', 'id', incremental => {incremental})")
    assert refreshed(clean, '"My Schema"."P.q"')[0] == 9
    assert wrong_rows(clean, '"My Schema"."P.q"', source, "m", "id") == []
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        clean.execute(f"DROP {' '.join(statement.split(' {')[0].split()[1:])} {source}".encode())
    clean.execute('SELECT drop_predictions(\'"My Schema"."P.q"\')')


@KINDS
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM t;",
        "-- which\nSELECT id, a, b FROM t -- and why",
        "WITH x AS (SELECT * FROM t WHERE id <= 50) SELECT * FROM x UNION ALL SELECT * FROM t WHERE id > 50 ;",
        "TABLE t",
        "(SELECT * FROM t ORDER BY a LIMIT 1000)",
    ],
)
def test_a_query_is_kept_as_a_view(clean: psycopg.Connection, query: str, incremental: bool) -> None:
    clean.execute(TABLE.encode())
    run(clean, "create_predictions('p', 'm', %s, 'id', incremental => %s)", query, incremental)
    clean.execute("UPDATE t SET a = 7 WHERE id = 3; DELETE FROM t WHERE id = 4")
    assert refreshed(clean)[0] == 99
    assert wrong_rows(clean, "p", "t", "m", "id") == []
    assert "FROM" in answer(clean, "SELECT describe_predictions('p') ->> 'query'")
    clean.execute("ALTER TABLE t RENAME TO u")  # the view knows it by its oid
    assert refreshed(clean)[0] == 99
    clean.execute("ALTER TABLE u RENAME TO t; SELECT drop_predictions('p')")
    assert answer(clean, "SELECT to_regclass('p_source')") is None


@pytest.mark.parametrize("source", ["t", "SELECT * FROM t"])
def test_names_keep_the_meaning_that_they_had(clean: psycopg.Connection, source: str) -> None:
    """A refresh in a session of another search_path reads the same table."""
    clean.execute(TABLE.encode())
    clean.execute("CREATE SCHEMA IF NOT EXISTS other; CREATE TABLE IF NOT EXISTS other.t (LIKE t)")
    run(clean, "create_predictions('p', 'm', %s, 'id')", source)
    clean.execute("SET search_path = other, modeldb")
    assert refreshed(clean, "public.p")[0] == 100
    clean.execute("SET search_path = ''")
    assert answer(clean, "SELECT rows FROM modeldb.refresh_predictions('public.p')") == 100


NAMES = ["p", "P", "public.p", "PUBLIC . P", '"p"', '"public"."p"', ' "public" . p ']


@pytest.mark.parametrize("name", NAMES)
def test_spellings_of_a_name(made: psycopg.Connection, name: str) -> None:
    assert refreshed(made, name)[0] == 100
    assert answer(made, "SELECT describe_predictions(%s) ->> 'name'", name) == "public.p"
    made.execute("DROP VIEW p")
    made.execute("SELECT drop_predictions(%s)", [name])
    assert answer(made, "SELECT count(*) FROM modeldb.predictions") == 0


@pytest.mark.parametrize("name", ["My Predictions", "select", "a.b", "x-y", "ÄÖ", "é'x'", "a" * 56])
def test_names_that_have_to_be_quoted(clean: psycopg.Connection, name: str) -> None:
    clean.execute(TABLE.encode())
    quoted = '"' + name + '"'
    assert run(clean, "create_predictions(%s, 'm', 't', 'id')", quoted)["rows"] == 100
    assert refreshed(clean, quoted)[0] == 100
    assert answer(clean, f"SELECT count(*) FROM {quoted}") == 100
    if "." not in name:
        assert refreshed(clean, name)[0] == 100
    clean.execute("SELECT drop_predictions(%s)", [quoted])
    assert answers(clean, "SELECT relname FROM pg_class WHERE relname LIKE %s", name + "%") == []
